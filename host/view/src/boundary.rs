//! The least and the greatest value that something could be, given the precision it was written with: FHIRPath's
//! `lowBoundary()` and `highBoundary()`.
//!
//! `1.0` was rounded from something between `0.95` and `1.05`; `1970-06` is a day between the first and the thirtieth.
//! The optional precision counts what is written: decimal places for a number; 4, 6, 8 digits for a date; 10, 12, 14,
//! 17 more for a dateTime; 2, 4, 6, 9 for a time. A precision that the type does not have gives no result.
//!
//! A number that must be cut to fewer places is cut outwards, so that what it bounds stays within. A `Period` has the
//! low boundary of its start and the high boundary of its end; the caller takes those apart.

use crate::decimal::Decimal;
use crate::temporal::{Date, DateTime, Precision, Time, Zone, days_in_month};

/// Which end of the range is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `lowBoundary()`
    Low,
    /// `highBoundary()`
    High,
}

impl Bound {
    fn pick<T>(self, low: T, high: T) -> T {
        match self {
            Bound::Low => low,
            Bound::High => high,
        }
    }
}

impl Decimal {
    /// The boundary at half a unit of the last place; by default with one place more than the number has. None when
    /// `places` is negative or over 31, or the result does not fit.
    pub fn boundary(self, bound: Bound, places: Option<i64>) -> Option<Decimal> {
        const MOST_PLACES: u32 = 31;
        let half = Decimal::new(bound.pick(-5, 5), self.scale() + 1).ok()?;
        let exact = self.plus(half).ok()?;
        let Some(places) = places else { return Some(exact) };
        let places = u32::try_from(places)
            .ok()
            .filter(|places| *places <= MOST_PLACES)?;
        bound.pick(exact.floor_to(places), exact.ceil_to(places)).ok()
    }
}

impl Date {
    /// The boundary, by default a day. None when `digits` is not 4, 6 or 8.
    pub fn boundary(self, bound: Bound, digits: Option<i64>) -> Option<Date> {
        let day = self.bounding_day(bound);
        match digits {
            None | Some(8) => Some(day),
            Some(6) => Some(Date { day: 0, ..day }),
            Some(4) => Some(Date {
                day: 0,
                month: 0,
                ..day
            }),
            Some(_) => None,
        }
    }

    fn bounding_day(self, bound: Bound) -> Date {
        let month = if self.month == 0 {
            bound.pick(1, 12)
        } else {
            self.month
        };
        let day = if self.day == 0 {
            bound.pick(1, days_in_month(self.year, month))
        } else {
            self.day
        };
        Date { month, day, ..self }
    }
}

impl DateTime {
    /// The boundary, by default to the millisecond. Where no zone is written the low one is in +14:00 and the high one
    /// in -12:00, the first and the last place on earth. None when `digits` is not 4, 6, 8, 10, 12, 14 or 17.
    pub fn boundary(self, bound: Bound, digits: Option<i64>) -> Option<DateTime> {
        let digits = digits.unwrap_or(17);
        if digits <= 8 {
            return self.date.boundary(bound, Some(digits)).map(DateTime::from);
        }
        let midnight = Time {
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            digits: 0,
            precision: Precision::Hour,
        };
        let time = match self.time {
            Some(time) => time,
            None => Time {
                hour: bound.pick(0, 23),
                ..midnight
            },
        };
        let time = time.boundary(bound, Some(digits - 8))?;
        let zone = self.zone.unwrap_or(Zone::Offset(bound.pick(14, -12) * 60));
        Some(DateTime {
            date: self.date.bounding_day(bound),
            time: Some(time),
            zone: Some(zone),
        })
    }
}

impl Time {
    /// The boundary, by default to the millisecond. None when `digits` is not 2, 4, 6 or 9.
    pub fn boundary(self, bound: Bound, digits: Option<i64>) -> Option<Time> {
        let precision = match digits {
            Some(2) => Precision::Hour,
            Some(4) => Precision::Minute,
            Some(6) => Precision::Second,
            None | Some(9) => Precision::Fraction,
            Some(_) => return None,
        };
        Some(Time {
            precision,
            ..self.bounding_millisecond(bound)
        })
    }

    fn bounding_millisecond(self, bound: Bound) -> Time {
        const MILLISECOND: u32 = 1_000_000;
        let known = self.precision;
        let minute = if known < Precision::Minute {
            bound.pick(0, 59)
        } else {
            self.minute
        };
        let second = if known < Precision::Second {
            bound.pick(0, 59)
        } else {
            self.second
        };
        let unknown = 10u32.pow(9u32.saturating_sub(u32::from(self.digits))) - 1;
        let nanos = self.nanos + bound.pick(0, unknown);
        Time {
            minute,
            second,
            nanos: nanos / MILLISECOND * MILLISECOND,
            digits: 3,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str, bound: Bound, places: Option<i64>) -> String {
        let value = Decimal::parse(text).unwrap();
        value
            .boundary(bound, places)
            .map_or_else(|| "none".to_owned(), |value| value.to_string())
    }

    fn moment(text: &str, bound: Bound, digits: Option<i64>) -> String {
        let value = DateTime::parse(text)
            .or_else(|_| DateTime::parse_literal(text))
            .unwrap();
        value
            .boundary(bound, digits)
            .map_or_else(|| "none".to_owned(), |value| value.to_string())
    }

    #[test]
    fn a_number_lies_within_half_a_unit_of_its_last_place() {
        for (text, low, high) in [
            ("1.0", "0.95", "1.05"),
            ("1", "0.5", "1.5"),
            ("1.587", "1.5865", "1.5875"),
            ("-1.587", "-1.5875", "-1.5865"),
            ("0.00", "-0.005", "0.005"),
            ("12.500", "12.4995", "12.5005"),
        ] {
            assert_eq!(decimal(text, Bound::Low, None), low);
            assert_eq!(decimal(text, Bound::High, None), high);
        }
    }

    #[test]
    fn a_number_cut_to_fewer_places_is_cut_outwards() {
        for (text, places, low, high) in [
            ("1.587", 8, "1.58650000", "1.58750000"),
            ("1.587", 2, "1.58", "1.59"),
            ("1.587", 0, "1", "2"),
            ("-1.587", 2, "-1.59", "-1.58"),
            ("120", 2, "119.50", "120.50"),
            ("0.0034", 1, "0.0", "0.1"),
            ("1.587", -1, "none", "none"),
            ("1.587", 41, "none", "none"),
        ] {
            assert_eq!(decimal(text, Bound::Low, Some(places)), low, "{text} {places}");
            assert_eq!(decimal(text, Bound::High, Some(places)), high, "{text} {places}");
        }
        assert_eq!(
            decimal("99999999999999999999999999999999999999", Bound::High, None),
            "none"
        );
    }

    #[test]
    fn a_date_is_filled_to_its_first_and_last_day() {
        let date = |text, bound, digits| {
            Date::parse(text)
                .unwrap()
                .boundary(bound, digits)
                .map_or_else(|| "none".to_owned(), |d| d.to_string())
        };
        assert_eq!(date("1970-06", Bound::Low, None), "1970-06-01");
        assert_eq!(date("1970-06", Bound::High, None), "1970-06-30");
        assert_eq!(date("2024-02", Bound::High, None), "2024-02-29");
        assert_eq!(date("2014", Bound::High, Some(6)), "2014-12");
        assert_eq!(date("2014", Bound::Low, Some(6)), "2014-01");
        assert_eq!(date("2014-05-06", Bound::Low, Some(4)), "2014");
        assert_eq!(date("2014", Bound::Low, Some(17)), "none");
        assert_eq!(date("2014", Bound::Low, Some(5)), "none");
    }

    #[test]
    fn a_moment_without_zone_spans_all_zones() {
        for (text, low, high) in [
            (
                "2010-10-10",
                "2010-10-10T00:00:00.000+14:00",
                "2010-10-10T23:59:59.999-12:00",
            ),
            (
                "2010",
                "2010-01-01T00:00:00.000+14:00",
                "2010-12-31T23:59:59.999-12:00",
            ),
            (
                "2014-01-01T08",
                "2014-01-01T08:00:00.000+14:00",
                "2014-01-01T08:59:59.999-12:00",
            ),
            (
                "2014-01-01T08:05:01Z",
                "2014-01-01T08:05:01.000Z",
                "2014-01-01T08:05:01.999Z",
            ),
            (
                "2014-01-01T08:05:01.2+08:00",
                "2014-01-01T08:05:01.200+08:00",
                "2014-01-01T08:05:01.299+08:00",
            ),
            (
                "2014-01-01T08:05:01.123456Z",
                "2014-01-01T08:05:01.123Z",
                "2014-01-01T08:05:01.123Z",
            ),
        ] {
            assert_eq!(moment(text, Bound::Low, None), low);
            assert_eq!(moment(text, Bound::High, None), high);
        }
    }

    #[test]
    fn a_moment_has_the_precision_asked_for() {
        for (digits, expected) in [
            (4, "2014"),
            (6, "2014-01"),
            (8, "2014-01-01"),
            (10, "2014-01-01T23-12:00"),
            (12, "2014-01-01T23:59-12:00"),
            (14, "2014-01-01T23:59:59-12:00"),
            (17, "2014-01-01T23:59:59.999-12:00"),
            (9, "none"),
            (18, "none"),
            (-1, "none"),
        ] {
            assert_eq!(
                moment("2014-01-01", Bound::High, Some(digits)),
                expected,
                "{digits}"
            );
        }
    }

    #[test]
    fn a_time_is_filled_to_the_millisecond() {
        let time = |text, bound, digits| {
            let time = Time::parse_literal(text).unwrap();
            time.boundary(bound, digits)
                .map_or_else(|| "none".to_owned(), |time| time.to_string())
        };
        assert_eq!(time("12:34:00", Bound::Low, None), "12:34:00.000");
        assert_eq!(time("12:34:00", Bound::High, None), "12:34:00.999");
        assert_eq!(time("10:30", Bound::Low, Some(9)), "10:30:00.000");
        assert_eq!(time("10:30", Bound::High, Some(9)), "10:30:59.999");
        assert_eq!(time("10", Bound::High, Some(4)), "10:59");
        assert_eq!(time("10:30:07", Bound::High, Some(2)), "10");
        assert_eq!(time("10:30", Bound::Low, Some(3)), "none");
    }
}
