//! Writing dates and times as FHIR text.

use std::fmt;

use super::{Date, DateTime, Precision, Time, Zone, calendar};

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.month > 0 {
            write!(f, "-{:02}", self.month)?;
        }
        if self.day > 0 {
            write!(f, "-{:02}", self.day)?;
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
        }
        if self.precision == Precision::Fraction {
            let width = usize::from(self.digits);
            let fraction = self.nanos / 10u32.pow(9u32.saturating_sub(u32::from(self.digits)));
            write!(f, ".{fraction:0width$}")?;
        }
        Ok(())
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date.fmt(f)?;
        if let Some(time) = self.time {
            write!(f, "T{time}")?;
        }
        self.zone.map_or(Ok(()), |zone| zone.fmt(f))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Zone::Offset(minutes) = self else {
            return f.write_str("Z");
        };
        let sign = if *minutes < 0 { '-' } else { '+' };
        let minutes = minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The `date` that lies this many days after 1970-01-01, as `YYYY-MM-DD`.
///
/// Years outside 0 to 9999 are written with a sign and more digits, as ISO 8601 extends them.
pub fn days_to_text(days: i32) -> String {
    let (year, month, day) = calendar::date(days);
    if (0..=9999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+05}-{month:02}-{day:02}")
    }
}

/// The moment that lies this many microseconds after 1970-01-01T00:00:00Z, in UTC, as RFC 3339 writes it: without a
/// fraction where it is zero, else with three or six digits of it.
pub fn micros_to_text(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    // Even the farthest microsecond lies within 107 million days.
    let days = i32::try_from(micros.div_euclid(DAY)).unwrap_or(i32::MAX);
    let in_day = micros.rem_euclid(DAY);
    let (seconds, fraction) = (in_day / 1_000_000, in_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{}T{hour:02}:{minute:02}:{second:02}", days_to_text(days));
    match fraction {
        0 => format!("{text}Z"),
        fraction if fraction % 1000 == 0 => format!("{text}.{:03}Z", fraction / 1000),
        fraction => format!("{text}.{fraction:06}Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_are_written_in_utc_with_as_many_digits_as_they_need() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_500_000, "1970-01-01T00:00:01.500Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(micros_to_text(micros), text);
        }
    }

    #[test]
    fn what_is_counted_can_be_read_again() {
        for text in [
            "2015-02-07T13:28:17.239Z",
            "9999-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00Z",
        ] {
            assert_eq!(micros_to_text(DateTime::parse(text).unwrap().to_micros()), text);
        }
    }

    #[test]
    fn moments_outside_the_written_years_have_a_text_all_the_same() {
        let moment = DateTime::parse("9999-12-31T23:59:59-12:00").unwrap();
        assert_eq!(micros_to_text(moment.to_micros()), "+10000-01-01T11:59:59Z");
        assert!(micros_to_text(i64::MIN).starts_with('-'));
        assert!(micros_to_text(i64::MAX).starts_with('+'));
        assert_eq!(days_to_text(i32::MIN).chars().next(), Some('-'));
    }
}
