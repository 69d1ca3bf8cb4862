//! How a FHIR value becomes a value of a column: the one place where dates become days and decimals become doubles.
//!
//! A value that does not fit refuses the resource; nothing becomes null silently. Only a partial date has a choice, see
//! [`PartialDates`].

use crate::base64;
use crate::cell::{Cell, TextRef};
use crate::decimal::Decimal;
use crate::error::{Code, RowError};
use crate::evaluate::{Evaluator, Scalar};
use crate::output::OutputType;
use crate::program::{Item, TextKind};
use crate::rows::PartialDates;
use crate::temporal::{Date, DateTime};

/// What coercing needs besides the value.
pub(crate) struct Coercion<'a> {
    pub(crate) partial_dates: PartialDates,
    /// How many partial dates were met.
    pub(crate) partials: &'a mut u64,
    /// Where decoded bytes go.
    pub(crate) bytes: &'a mut Vec<u8>,
}

impl Coercion<'_> {
    pub(crate) fn cell(
        &mut self,
        evaluator: &mut Evaluator<'_>,
        item: Item,
        output: OutputType,
    ) -> Result<Cell, RowError> {
        let text = match evaluator.scalar(item) {
            Scalar::Nothing => return Ok(Cell::Null),
            Scalar::Object(_) => return Err(wrong("an object where a primitive value belongs")),
            Scalar::Boolean(flag) => return boolean(evaluator, flag, output),
            Scalar::Integer(number) => return integer(evaluator, number, output),
            Scalar::Number(text) | Scalar::Text(_, text) => text,
        };
        match output {
            OutputType::Utf8 => Ok(Cell::Text(place(evaluator, item))),
            OutputType::Date32 => self.date(text),
            OutputType::TimestampMicros => self.timestamp(text),
            OutputType::Int32 => Ok(Cell::Integer(ranged(whole(text)?, output)?)),
            OutputType::Int64 => Ok(Cell::Integer(whole(text)?)),
            OutputType::Float64 => float(text),
            OutputType::Boolean => Err(wrong("not a boolean")),
            OutputType::Binary => {
                let start = self.bytes.len();
                if !base64::decode(text, self.bytes) {
                    return Err(wrong("not base64"));
                }
                Ok(Cell::Bytes {
                    start: start as u32,
                    length: (self.bytes.len() - start) as u32,
                })
            }
        }
    }

    fn date(&mut self, text: &str) -> Result<Cell, RowError> {
        let date = match Date::parse(text) {
            Ok(date) => date,
            Err(_) => DateTime::parse(text).map_err(|_| wrong("not a date"))?.date(),
        };
        self.moment(date.is_partial(), i64::from(date.to_days()))
    }

    fn timestamp(&mut self, text: &str) -> Result<Cell, RowError> {
        let moment = DateTime::parse(text).map_err(|_| wrong("not a date with a time"))?;
        self.moment(moment.is_partial(), moment.to_micros())
    }

    fn moment(&mut self, partial: bool, count: i64) -> Result<Cell, RowError> {
        if !partial {
            return Ok(Cell::Integer(count));
        }
        match self.partial_dates {
            PartialDates::Start => {
                *self.partials += 1;
                Ok(Cell::Integer(count))
            }
            PartialDates::Null => {
                *self.partials += 1;
                Ok(Cell::Null)
            }
            PartialDates::Refuse => Err(RowError::new(Code::PartialDate, "a date without its day")),
        }
    }
}

fn wrong(reason: &str) -> RowError {
    RowError::new(Code::WrongValue, reason)
}

/// Where the text of a text item or node lies.
fn place(evaluator: &Evaluator<'_>, item: Item) -> TextRef {
    match item {
        Item::Text(_, text) => text,
        Item::Node(at) => evaluator.node(at).text,
        Item::Boolean(_) | Item::Integer(_) => TextRef {
            origin: crate::cell::Origin::Literal,
            start: 0,
            length: 0,
        },
    }
}

fn made(evaluator: &mut Evaluator<'_>, text: &str) -> Cell {
    let item = evaluator.make(TextKind::String, text);
    Cell::Text(place(evaluator, item))
}

fn boolean(evaluator: &mut Evaluator<'_>, flag: bool, output: OutputType) -> Result<Cell, RowError> {
    match output {
        OutputType::Boolean => Ok(Cell::Boolean(flag)),
        OutputType::Utf8 => Ok(made(evaluator, if flag { "true" } else { "false" })),
        _ => Err(wrong("a boolean in a column of another type")),
    }
}

fn integer(evaluator: &mut Evaluator<'_>, number: i64, output: OutputType) -> Result<Cell, RowError> {
    match output {
        OutputType::Int32 => Ok(Cell::Integer(ranged(number, output)?)),
        OutputType::Int64 => Ok(Cell::Integer(number)),
        OutputType::Float64 => Ok(Cell::Float(number as f64)),
        OutputType::Utf8 => Ok(made(evaluator, &number.to_string())),
        _ => Err(wrong("a number in a column of another type")),
    }
}

fn whole(text: &str) -> Result<i64, RowError> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let number = Decimal::parse(text).map_err(|_| wrong("not an integer"))?;
    if !number.is_whole() {
        return Err(wrong("not an integer"));
    }
    number
        .to_i64()
        .ok_or_else(|| RowError::new(Code::OutOfRange, "an integer beyond 64 bits"))
}

fn ranged(number: i64, output: OutputType) -> Result<i64, RowError> {
    if output == OutputType::Int32 && i32::try_from(number).is_err() {
        return Err(RowError::new(Code::OutOfRange, "an integer beyond 32 bits"));
    }
    Ok(number)
}

fn float(text: &str) -> Result<Cell, RowError> {
    // The standard library rounds correctly, and knows words that JSON does not.
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
    match text.parse::<f64>() {
        Ok(number) if digits && number.is_finite() => Ok(Cell::Float(number)),
        Ok(_) if digits => Err(RowError::new(
            Code::OutOfRange,
            "a number beyond double precision",
        )),
        _ => Err(wrong("not a number")),
    }
}
