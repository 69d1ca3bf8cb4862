//! Functions of Spark that DataFusion has not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use deltalake::datafusion::error::{DataFusionError, Result};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake::datafusion::prelude::SessionContext;

use crate::sql::text::{java_double, java_float, spark_timestamp, to_type};
use crate::types::SqlType;

/// Makes them known.
pub(super) fn register(context: &SessionContext) {
    for (which, arguments) in [
        (Which::SparkString, 1),
        (Which::SparkDivide, 2),
        (Which::UnixMicros, 1),
    ] {
        context.register_udf(ScalarUDF::from(Function {
            which,
            signature: Signature::any(arguments, Volatility::Immutable),
        }));
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Which {
    /// `CAST(… AS STRING)`.
    SparkString,
    /// `a / b`: the quotient of two whole numbers is a DOUBLE, and nothing is divided by zero.
    SparkDivide,
    /// Microseconds of a timestamp.
    UnixMicros,
}

#[derive(Debug, Eq, Hash, PartialEq)]
struct Function {
    which: Which,
    signature: Signature,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.which {
            Which::SparkString => "spark_string",
            Which::SparkDivide => "spark_divide",
            Which::UnixMicros => "unix_micros",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.which {
            Which::SparkString => DataType::Utf8,
            Which::UnixMicros => DataType::Int64,
            Which::SparkDivide if arguments.iter().any(is_decimal) => {
                return Err(DataFusionError::NotImplemented(
                    "the emulator does not divide DECIMAL numbers".to_owned(),
                ));
            }
            Which::SparkDivide => DataType::Float64,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = arguments
            .args
            .iter()
            .map(|argument| argument.to_array(arguments.number_rows))
            .collect::<Result<Vec<_>>>()?;
        let answer = match (self.which, arrays.as_slice()) {
            (Which::SparkString, [array]) => spark_string(array)?,
            (Which::UnixMicros, [array]) => unix_micros(array)?,
            (Which::SparkDivide, [dividend, divisor]) => divide(dividend, divisor)?,
            _ => {
                return Err(DataFusionError::Plan(
                    "a function without its arguments".to_owned(),
                ));
            }
        };
        Ok(ColumnarValue::Array(answer))
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    data_type.is_decimal()
}

fn divide(dividend: &ArrayRef, divisor: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let dividend = to_type(dividend, &SqlType::Double)?;
    let divisor = to_type(divisor, &SqlType::Double)?;
    let pairs = dividend
        .as_primitive::<Float64Type>()
        .iter()
        .zip(divisor.as_primitive::<Float64Type>());
    let quotients = pairs.map(|pair| match pair {
        (Some(_), Some(0.0)) => Err(ArrowError::DivideByZero),
        (Some(dividend), Some(divisor)) => Ok(Some(dividend / divisor)),
        _ => Ok(None),
    });
    Ok(Arc::new(
        quotients.collect::<std::result::Result<Float64Array, ArrowError>>()?,
    ))
}

fn unix_micros(array: &ArrayRef) -> Result<ArrayRef> {
    let moments = to_type(array, &SqlType::Timestamp)?;
    let moments = moments.as_primitive::<TimestampMicrosecondType>();
    Ok(Arc::new(moments.iter().collect::<Int64Array>()))
}

/// The texts that Spark's cast to STRING makes of values.
pub(super) fn spark_string(array: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Timestamp(_, zone) => {
            let sql_type = if zone.is_some() {
                SqlType::Timestamp
            } else {
                SqlType::TimestampNtz
            };
            let moments = to_type(array, &sql_type)?;
            let moments = moments.as_primitive::<TimestampMicrosecondType>();
            let texts = moments.iter().map(|micros| micros.map(spark_timestamp));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            let texts = numbers.iter().map(|number| number.map(java_double));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        DataType::Float32 => {
            let numbers = array.as_primitive::<Float32Type>();
            let texts = numbers.iter().map(|number| number.map(java_float));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        _ => cast(array, &DataType::Utf8),
    }
}
