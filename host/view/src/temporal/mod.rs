//! FHIR's dates and times as values: read from text, compared, counted in days or microseconds, written back.
//!
//! A value keeps the precision it was written with (`1970-06` is a month, not its first day) and its zone, so it is
//! written back as it was read. Counting starts a partial value at the beginning of its period; whoever must not do
//! that asks [`Date::is_partial`] first.
//!
//! Three decisions hold everywhere:
//! - a time of day belongs to UTC where no zone is written: FHIR allows that for dates alone, FHIRPath for literals;
//! - a leap second (`23:59:60`) is kept in the text, and counts as the start of the second after it;
//! - fractions of a second are kept to nine digits, further ones are cut.

mod calendar;
mod compare;
mod parse;
mod quick;
mod write;

pub(crate) use calendar::days_in_month;
pub(crate) use quick::{quick_days, quick_micros};
pub use write::{days_to_text, micros_to_text};

/// How exactly a [`Date`], [`DateTime`] or [`Time`] is known. Finer is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `1970`
    Year,
    /// `1970-06`
    Month,
    /// `1970-06-01`
    Day,
    /// Hours alone, which only FHIRPath literals have.
    Hour,
    /// Hours and minutes, which only FHIRPath literals have.
    Minute,
    /// Whole seconds.
    Second,
    /// Seconds with a fraction.
    Fraction,
}

/// A FHIR `date`: a year, a month or a day.
#[derive(Clone, Copy, Debug)]
pub struct Date {
    /// 1 to 9999.
    pub(crate) year: u16,
    /// Zero when only the year is known.
    pub(crate) month: u8,
    /// Zero when the day is not known.
    pub(crate) day: u8,
}

/// A FHIR `time`: a time of day, of no day and no zone.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    /// 60 is a leap second.
    pub(crate) second: u8,
    pub(crate) nanos: u32,
    /// How many digits the fraction was written with, nine at most.
    pub(crate) digits: u8,
    /// `Hour` or finer.
    pub(crate) precision: Precision,
}

/// A FHIR `dateTime` or `instant`: a date, and with a whole date perhaps a time of day and a zone.
#[derive(Clone, Copy, Debug)]
pub struct DateTime {
    pub(crate) date: Date,
    pub(crate) time: Option<Time>,
    pub(crate) zone: Option<Zone>,
}

/// The zone of a [`DateTime`], as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// `Z`
    Utc,
    /// Minutes east of UTC: `+02:00` is 120. At most fourteen hours either way.
    Offset(i16),
}

/// Why a text is no FHIR date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemporalError {
    /// The text does not have the shape of its type.
    #[error("not a FHIR {kind}: write {shape} [TIME-001]")]
    Shape {
        /// The FHIR type that was asked for.
        kind: &'static str,
        /// What its texts look like.
        shape: &'static str,
    },
    /// The calendar has no such month or day, or the year is 0.
    #[error("no such day in the calendar [TIME-002]")]
    NoSuchDay,
    /// An hour past 23, a minute past 59 or a second past 60.
    #[error("no such time of day, hours end at 23, minutes at 59, seconds at 60 [TIME-003]")]
    NoSuchTime,
    /// A time of day without a zone, which says no moment.
    #[error("time of day without a zone: end it with `Z` or an offset such as `+02:00` [TIME-004]")]
    NoZone,
    /// An offset of more than fourteen hours, or of more than 59 minutes past the hour.
    #[error("no such zone: an offset is at most 14:00 [TIME-005]")]
    NoSuchZone,
}

impl TemporalError {
    /// The stable code of this error.
    pub fn code(self) -> &'static str {
        match self {
            TemporalError::Shape { .. } => "TIME-001",
            TemporalError::NoSuchDay => "TIME-002",
            TemporalError::NoSuchTime => "TIME-003",
            TemporalError::NoZone => "TIME-004",
            TemporalError::NoSuchZone => "TIME-005",
        }
    }
}

impl Date {
    /// How exactly the date is known: `Year`, `Month` or `Day`.
    pub fn precision(self) -> Precision {
        match self {
            Date { month: 0, .. } => Precision::Year,
            Date { day: 0, .. } => Precision::Month,
            Date { .. } => Precision::Day,
        }
    }

    /// Whether the date is a year or a month rather than a day.
    pub fn is_partial(self) -> bool {
        self.day == 0
    }

    /// Days since 1970-01-01 of the day, or of the first day of the month or year.
    pub fn to_days(self) -> i32 {
        calendar::days(self.year, self.month.max(1), self.day.max(1))
    }
}

impl Time {
    /// How exactly the time is known: `Hour` or finer.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Microseconds since midnight; further digits are cut.
    pub fn to_micros(self) -> i64 {
        let (seconds, nanos) = self.counted();
        seconds * 1_000_000 + i64::from(nanos / 1000)
    }

    /// Seconds since midnight and nanoseconds, a leap second as the start of the next one.
    fn counted(self) -> (i64, u32) {
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        (seconds, if self.second == 60 { 0 } else { self.nanos })
    }
}

impl DateTime {
    /// How exactly the moment is known.
    pub fn precision(self) -> Precision {
        self.time.map_or_else(|| self.date.precision(), Time::precision)
    }

    /// Whether this is a year or a month rather than a day or a moment.
    pub fn is_partial(self) -> bool {
        self.date.is_partial()
    }

    /// The date as written, in the zone it was written in.
    pub fn date(self) -> Date {
        self.date
    }

    /// The time of day as written, in the zone it was written in.
    pub fn time(self) -> Option<Time> {
        self.time
    }

    /// The zone as written.
    pub fn zone(self) -> Option<Zone> {
        self.zone
    }

    /// Microseconds since 1970-01-01T00:00:00Z: of the moment, cut to the microsecond, or of the start of the day,
    /// month or year in UTC.
    pub fn to_micros(self) -> i64 {
        let (seconds, nanos) = self.counted();
        seconds * 1_000_000 + i64::from(nanos / 1000)
    }

    /// Seconds since the epoch in UTC, and nanoseconds.
    fn counted(self) -> (i64, u32) {
        let (seconds, nanos) = self.time.map_or((0, 0), Time::counted);
        let offset = self.zone.map_or(0, Zone::minutes);
        (
            i64::from(self.date.to_days()) * 86_400 + seconds - i64::from(offset) * 60,
            nanos,
        )
    }
}

impl Zone {
    /// Minutes east of UTC.
    pub fn minutes(self) -> i16 {
        match self {
            Zone::Utc => 0,
            Zone::Offset(minutes) => minutes,
        }
    }
}

impl From<Date> for DateTime {
    fn from(date: Date) -> DateTime {
        DateTime {
            date,
            time: None,
            zone: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        DateTime::parse(text)
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .to_micros()
    }

    #[test]
    fn days_count_from_1970_and_a_period_from_its_first_day() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1970-06", 151),
            ("1970", 0),
            ("2000-02-29", 11_016),
            ("1969-12-31", -1),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(Date::parse(text).unwrap().to_days(), days, "{text}");
        }
        assert!(Date::parse("1970-06").unwrap().is_partial());
        assert!(!Date::parse("1970-06-01").unwrap().is_partial());
    }

    #[test]
    fn moments_count_in_utc() {
        for (text, expected) in [
            ("1970", 0),
            ("1970-01-02", 86_400_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T02:00:00+02:00", 0),
            ("1969-12-31T19:00:00-05:00", 0),
            ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.1234567891234Z", 123_456),
            ("1969-12-31T23:59:59.999999999Z", -1),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }

    #[test]
    fn a_leap_second_counts_as_the_second_after_it() {
        assert_eq!(micros("2016-12-31T23:59:60Z"), micros("2017-01-01T00:00:00Z"));
        assert_eq!(micros("2016-12-31T23:59:60.7Z"), micros("2017-01-01T00:00:00Z"));
        assert_eq!(Time::parse("23:59:60").unwrap().to_micros(), 86_400_000_000);
    }
}
