//! Functions of Spark that DataFusion has not.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use deltalake::datafusion::error::{DataFusionError, Result};
use deltalake::datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use deltalake::datafusion::prelude::SessionContext;

use crate::sql::text::{java_double, spark_timestamp, to_type};
use crate::types::SqlType;

/// Makes them known.
pub(super) fn register(context: &SessionContext) {
    for which in [Which::SparkString, Which::UnixMicros] {
        context.register_udf(ScalarUDF::from(Function {
            which,
            signature: Signature::any(1, Volatility::Immutable),
        }));
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Which {
    /// `CAST(… AS STRING)`.
    SparkString,
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
            Which::UnixMicros => "unix_micros",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.which {
            Which::SparkString => DataType::Utf8,
            Which::UnixMicros => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(argument) = arguments.args.first() else {
            return Err(DataFusionError::Plan(
                "a function without its argument".to_owned(),
            ));
        };
        let array = argument.to_array(arguments.number_rows)?;
        let answer = match self.which {
            Which::SparkString => spark_string(&array)?,
            Which::UnixMicros => unix_micros(&array)?,
        };
        Ok(ColumnarValue::Array(answer))
    }
}

fn unix_micros(array: &ArrayRef) -> Result<ArrayRef> {
    let moments = to_type(array, &SqlType::Timestamp)?;
    let moments = moments.as_primitive::<TimestampMicrosecondType>();
    Ok(Arc::new(moments.iter().collect::<Int64Array>()))
}

fn spark_string(array: &ArrayRef) -> Result<ArrayRef> {
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
        _ => Ok(cast(array, &DataType::Utf8)?),
    }
}
