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
use crate::temporal::{Date, DateTime, quick_days, quick_micros};

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
        if let Some(days) = quick_days(text) {
            return Ok(Cell::Integer(i64::from(days)));
        }
        let date = match Date::parse(text) {
            Ok(date) => date,
            Err(_) => DateTime::parse(text).map_err(|_| wrong("not a date"))?.date(),
        };
        self.moment(date.is_partial(), i64::from(date.to_days()))
    }

    fn timestamp(&mut self, text: &str) -> Result<Cell, RowError> {
        if let Some(micros) = quick_micros(text) {
            return Ok(Cell::Integer(micros));
        }
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

// A value written out as text is rare: what most values take stays small without it.
#[inline(never)]
fn made(evaluator: &mut Evaluator<'_>, text: &str) -> Result<Cell, RowError> {
    let item = evaluator.make(TextKind::String, text)?;
    Ok(Cell::Text(place(evaluator, item)))
}

fn boolean(evaluator: &mut Evaluator<'_>, flag: bool, output: OutputType) -> Result<Cell, RowError> {
    match output {
        OutputType::Boolean => Ok(Cell::Boolean(flag)),
        OutputType::Utf8 => made(evaluator, if flag { "true" } else { "false" }),
        _ => Err(wrong("a boolean in a column of another type")),
    }
}

fn integer(evaluator: &mut Evaluator<'_>, number: i64, output: OutputType) -> Result<Cell, RowError> {
    match output {
        OutputType::Int32 => Ok(Cell::Integer(ranged(number, output)?)),
        OutputType::Int64 => Ok(Cell::Integer(number)),
        OutputType::Float64 => Ok(Cell::Float(number as f64)),
        OutputType::Utf8 => made(evaluator, &number.to_string()),
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

#[cfg(test)]
mod tests {
    use crate::OutputType::{Binary, Boolean, Date32, Float64, Int32, Int64, TimestampMicros, Utf8};
    use crate::PartialDates::{Null, Refuse, Start};
    use crate::testing::coerced;
    use crate::{OutputType, PartialDates};

    fn check(element: &str, path: &str, output: OutputType, partial_dates: PartialDates, expected: &str) {
        let resource = format!(r#"{{"resourceType":"Observation",{element}}}"#);
        assert_eq!(
            coerced(&resource, path, output, partial_dates),
            expected,
            "{element}"
        );
    }

    fn date(written: &str, output: OutputType, partial_dates: PartialDates, expected: &str) {
        let element = format!(r#""effectiveDateTime":"{written}""#);
        check(
            &element,
            "effective.ofType(dateTime)",
            output,
            partial_dates,
            expected,
        );
    }

    fn quantity(written: &str, output: OutputType, expected: &str) {
        let element = format!(r#""valueQuantity":{{"value":{written}}}"#);
        check(&element, "value.ofType(Quantity).value", output, Start, expected);
    }

    #[test]
    fn dates_become_days_and_moments_in_utc() {
        date("2020-02-29", Date32, Start, "2020-02-29");
        date("2020-02-29T23:30:00-05:00", Date32, Start, "2020-02-29");
        date("2020-02-29", TimestampMicros, Start, "2020-02-29T00:00:00Z");
        date(
            "2020-02-29T23:30:00-05:00",
            TimestampMicros,
            Start,
            "2020-03-01T04:30:00Z",
        );
        date(
            "2020-02-29T10:00:00.1234567Z",
            TimestampMicros,
            Start,
            "2020-02-29T10:00:00.123456Z",
        );
        date(
            "2020-02-30",
            Date32,
            Start,
            "column `v` of row 0: not a date [VIEW-103]",
        );
        date(
            "yesterday",
            TimestampMicros,
            Start,
            "column `v` of row 0: not a date with a time [VIEW-103]",
        );
    }

    #[test]
    fn a_partial_date_is_its_start_or_null_or_refused_and_is_counted() {
        date("1970-06", Date32, Start, "1970-06-01 (1 partial)");
        date("1970", TimestampMicros, Start, "1970-01-01T00:00:00Z (1 partial)");
        date("1970-06", Date32, Null, " (1 partial)");
        date(
            "1970-06",
            Date32,
            Refuse,
            "column `v` of row 0: a date without its day [VIEW-105]",
        );
        date("1970-06", Utf8, Refuse, "1970-06");
    }

    #[test]
    fn numbers_keep_their_digits_as_text_and_round_correctly_as_doubles() {
        quantity("1.50", Utf8, "1.50");
        quantity("1.50", Float64, "1.5");
        quantity("42.360082300000001", Float64, "42.3600823");
        quantity(
            "1e400",
            Float64,
            "column `v` of row 0: a number beyond double precision [VIEW-104]",
        );
        quantity("3.0", Int64, "3");
        quantity("3.5", Int64, "column `v` of row 0: not an integer [VIEW-103]");
        quantity(
            "2147483648",
            Int32,
            "column `v` of row 0: an integer beyond 32 bits [VIEW-104]",
        );
        quantity("-2147483648", Int32, "-2147483648");
        quantity(
            "true",
            Float64,
            "column `v` of row 0: a boolean in a column of another type [VIEW-103]",
        );
    }

    #[test]
    fn what_is_of_another_kind_is_refused_and_never_null() {
        check(
            r#""valueBoolean":true"#,
            "value.ofType(boolean)",
            Boolean,
            Start,
            "true",
        );
        check(
            r#""valueBoolean":true"#,
            "value.ofType(boolean)",
            Utf8,
            Start,
            "true",
        );
        let wrong = "column `v` of row 0: not a boolean [VIEW-103]";
        check(
            r#""valueBoolean":"true""#,
            "value.ofType(boolean)",
            Boolean,
            Start,
            wrong,
        );
        let object = "column `v` of row 0: an object where a primitive value belongs [VIEW-103]";
        check(r#""status":{"x":1}"#, "status", Utf8, Start, object);
        check(r#""status":null"#, "status", Utf8, Start, "");
    }

    #[test]
    fn base64_becomes_bytes() {
        let image = |data: &str| format!(r#"{{"resourceType":"Binary","data":"{data}"}}"#);
        assert_eq!(coerced(&image("aGVsbG8K"), "data", Binary, Start), "aGVsbG8K");
        let refused = "column `v` of row 0: not base64 [VIEW-103]";
        assert_eq!(coerced(&image("aGVsbG8"), "data", Binary, Start), refused);
    }
}
