//! Reading dates and times, by FHIR's grammar and by FHIRPath's wider one for literals.

use super::{Date, DateTime, Precision, TemporalError, Time, Zone, calendar};

const DATE: TemporalError = TemporalError::Shape {
    kind: "date",
    shape: "YYYY, YYYY-MM or YYYY-MM-DD",
};
const DATE_TIME: TemporalError = TemporalError::Shape {
    kind: "dateTime",
    shape: "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone",
};
const INSTANT: TemporalError = TemporalError::Shape {
    kind: "instant",
    shape: "YYYY-MM-DDThh:mm:ss with a zone",
};
const TIME: TemporalError = TemporalError::Shape {
    kind: "time",
    shape: "hh:mm:ss",
};

impl Date {
    /// Reads a FHIR `date`, which is also what a FHIRPath date literal holds after its `@`.
    pub fn parse(text: &str) -> Result<Date, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let date = scan.date(DATE)?;
        scan.end(DATE)?;
        Ok(date)
    }
}

impl DateTime {
    /// Reads a FHIR `dateTime`: a date, or a moment to the second or finer with its zone.
    pub fn parse(text: &str) -> Result<DateTime, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let date = scan.date(DATE_TIME)?;
        if scan.0.is_empty() {
            return Ok(DateTime::from(date));
        }
        scan.moment(date, DATE_TIME)
    }

    /// Reads a FHIR `instant`: a moment to the second or finer with its zone.
    pub fn parse_instant(text: &str) -> Result<DateTime, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let date = scan.date(INSTANT)?;
        scan.moment(date, INSTANT)
    }

    /// Reads what a FHIRPath dateTime literal holds after its `@`: also `2015T`, `2015-02-04T14`, `2015-02-04T14:30`,
    /// and without a zone.
    pub fn parse_literal(text: &str) -> Result<DateTime, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let date = scan.date(DATE_TIME)?;
        if !scan.eat(b'T') {
            return Err(DATE_TIME);
        }
        if scan.0.is_empty() {
            return Ok(DateTime::from(date));
        }
        if date.is_partial() {
            return Err(DATE_TIME);
        }
        let time = scan.partial_time(DATE_TIME)?;
        let zone = if scan.0.is_empty() {
            None
        } else {
            Some(scan.zone(DATE_TIME)?)
        };
        scan.end(DATE_TIME)?;
        Ok(DateTime {
            date,
            time: Some(time),
            zone,
        })
    }
}

impl Time {
    /// Reads a FHIR `time`: hours, minutes and seconds.
    pub fn parse(text: &str) -> Result<Time, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let time = scan.whole_time(TIME)?;
        scan.end(TIME)?;
        Ok(time)
    }

    /// Reads what a FHIRPath time literal holds after its `@T`: also `14` and `14:30`.
    pub fn parse_literal(text: &str) -> Result<Time, TemporalError> {
        let mut scan = Scan(text.as_bytes());
        let time = scan.partial_time(TIME)?;
        scan.end(TIME)?;
        Ok(time)
    }
}

/// What of a text is still to be read. Each step takes the error of the type that is being read.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn end(&self, shape: TemporalError) -> Result<(), TemporalError> {
        if self.0.is_empty() { Ok(()) } else { Err(shape) }
    }

    fn two_digits(&mut self, shape: TemporalError) -> Result<u8, TemporalError> {
        match self.0 {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
                let value = (tens - b'0') * 10 + (ones - b'0');
                self.0 = rest;
                Ok(value)
            }
            _ => Err(shape),
        }
    }

    fn date(&mut self, shape: TemporalError) -> Result<Date, TemporalError> {
        let (century, years) = (self.two_digits(shape)?, self.two_digits(shape)?);
        let year = u16::from(century) * 100 + u16::from(years);
        let month = if self.eat(b'-') {
            Some(self.two_digits(shape)?)
        } else {
            None
        };
        let day = if month.is_some() && self.eat(b'-') {
            Some(self.two_digits(shape)?)
        } else {
            None
        };
        let month_exists = month.is_none_or(|month| (1..=12).contains(&month));
        let last = calendar::days_in_month(year, month.unwrap_or(1));
        if year == 0 || !month_exists || day.is_some_and(|day| day == 0 || day > last) {
            return Err(TemporalError::NoSuchDay);
        }
        Ok(Date {
            year,
            month: month.unwrap_or(0),
            day: day.unwrap_or(0),
        })
    }

    /// A time with its zone, to the end of the text.
    fn moment(&mut self, date: Date, shape: TemporalError) -> Result<DateTime, TemporalError> {
        if date.is_partial() || !self.eat(b'T') {
            return Err(shape);
        }
        let time = self.whole_time(shape)?;
        if self.0.is_empty() {
            return Err(TemporalError::NoZone);
        }
        let zone = self.zone(shape)?;
        self.end(shape)?;
        Ok(DateTime {
            date,
            time: Some(time),
            zone: Some(zone),
        })
    }

    fn whole_time(&mut self, shape: TemporalError) -> Result<Time, TemporalError> {
        let time = self.partial_time(shape)?;
        if time.precision < Precision::Second {
            Err(shape)
        } else {
            Ok(time)
        }
    }

    fn partial_time(&mut self, shape: TemporalError) -> Result<Time, TemporalError> {
        let hour = self.two_digits(shape)?;
        let mut time = Time {
            hour,
            minute: 0,
            second: 0,
            nanos: 0,
            digits: 0,
            precision: Precision::Hour,
        };
        if self.eat(b':') {
            time.minute = self.two_digits(shape)?;
            time.precision = Precision::Minute;
            if self.eat(b':') {
                time.second = self.two_digits(shape)?;
                time.precision = Precision::Second;
                if self.eat(b'.') {
                    (time.nanos, time.digits) = self.fraction(shape)?;
                    time.precision = Precision::Fraction;
                }
            }
        }
        let exists = time.hour <= 23 && time.minute <= 59 && time.second <= 60;
        if exists {
            Ok(time)
        } else {
            Err(TemporalError::NoSuchTime)
        }
    }

    /// Nanoseconds and how many digits of them were written, nine at most.
    fn fraction(&mut self, shape: TemporalError) -> Result<(u32, u8), TemporalError> {
        let (mut nanos, mut digits) = (0u32, 0u8);
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at(length);
        if fraction.is_empty() {
            return Err(shape);
        }
        self.0 = rest;
        for digit in fraction.iter().take(9) {
            nanos = nanos * 10 + u32::from(digit - b'0');
            digits += 1;
        }
        Ok((nanos * 10u32.pow(9 - u32::from(digits)), digits))
    }

    fn zone(&mut self, shape: TemporalError) -> Result<Zone, TemporalError> {
        if self.eat(b'Z') {
            return Ok(Zone::Utc);
        }
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return Err(shape);
        };
        let hours = i16::from(self.two_digits(shape)?);
        if !self.eat(b':') {
            return Err(shape);
        }
        let minutes = i16::from(self.two_digits(shape)?);
        if minutes > 59 || hours * 60 + minutes > 14 * 60 {
            return Err(TemporalError::NoSuchZone);
        }
        Ok(Zone::Offset(sign * (hours * 60 + minutes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(result: Result<T, TemporalError>) -> &'static str {
        result.err().map_or("accepted", TemporalError::code)
    }

    #[test]
    fn what_is_written_is_written_back() {
        for text in ["1970", "1970-06", "2024-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
            assert_eq!(DateTime::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "2015-02-07T13:28:17-05:00",
            "2015-02-07T13:28:17.239+02:00",
            "2015-12-31T23:59:60.000000001Z",
        ] {
            assert_eq!(DateTime::parse(text).unwrap().to_string(), text);
            assert_eq!(DateTime::parse_instant(text).unwrap().to_string(), text);
        }
        for text in ["12:34:00", "00:00:00.10", "23:59:59.123456789"] {
            assert_eq!(Time::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_date_of_another_shape_is_refused() {
        for text in [
            "",
            "70",
            "1970-",
            "1970-6",
            "1970-06-1",
            "19700601",
            "1970-06-01T",
            "1970-06-01 ",
            "1970-06-01Z",
        ] {
            assert_eq!(refused(Date::parse(text)), "TIME-001", "{text}");
        }
        for text in [
            "0000",
            "1970-00",
            "1970-13",
            "1970-06-31",
            "2023-02-29",
            "1900-02-29",
            "1970-06-00",
        ] {
            assert_eq!(refused(Date::parse(text)), "TIME-002", "{text}");
        }
    }

    #[test]
    fn a_date_time_that_says_no_moment_is_refused_with_the_reason() {
        for (text, code) in [
            ("2015-02-07T13:28:17", "TIME-004"),
            ("2015-02-07T13:28Z", "TIME-001"),
            ("2015-02-07T13Z", "TIME-001"),
            ("2015-02T13:28:17Z", "TIME-001"),
            ("2015-02-07t13:28:17Z", "TIME-001"),
            ("2015-02-07T13:28:17z", "TIME-001"),
            ("2015-02-07T13:28:17.Z", "TIME-001"),
            ("2015-02-07T13:28:17Z ", "TIME-001"),
            ("2015-02-07T24:00:00Z", "TIME-003"),
            ("2015-02-07T13:60:00Z", "TIME-003"),
            ("2015-02-07T13:28:61Z", "TIME-003"),
            ("2015-02-07T13:28:17+14:01", "TIME-005"),
            ("2015-02-07T13:28:17+02:60", "TIME-005"),
            ("2015-02-07T13:28:17+0200", "TIME-001"),
        ] {
            assert_eq!(refused(DateTime::parse(text)), code, "{text}");
        }
    }

    #[test]
    fn an_instant_is_no_date_and_a_time_has_seconds() {
        for text in ["2015", "2015-02-07", "2015-02-07T13:28Z"] {
            assert_eq!(refused(DateTime::parse_instant(text)), "TIME-001", "{text}");
        }
        for text in ["12", "12:34", "12:34:00Z", "T12:34:00", "1:2:3"] {
            assert_eq!(refused(Time::parse(text)), "TIME-001", "{text}");
        }
    }

    #[test]
    fn literals_may_be_less_precise_and_without_zone() {
        for text in [
            "2015-02-04T14",
            "2015-02-04T14:30",
            "2015-02-04T14:30:05.5",
            "2015-02-04T14+02:00",
        ] {
            assert_eq!(DateTime::parse_literal(text).unwrap().to_string(), text);
        }
        assert_eq!(DateTime::parse_literal("2015T").unwrap().to_string(), "2015");
        assert_eq!(refused(DateTime::parse_literal("2015-02T14")), "TIME-001");
        assert_eq!(refused(DateTime::parse_literal("2015")), "TIME-001");
        assert_eq!(Time::parse_literal("14:30").unwrap().to_string(), "14:30");
        assert_eq!(Time::parse_literal("14").unwrap().precision(), Precision::Hour);
    }
}
