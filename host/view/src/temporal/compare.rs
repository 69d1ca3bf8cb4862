//! Comparing dates and times that are known with different precision.
//!
//! FHIRPath compares part by part from the year down. The first parts that differ decide; when one value ends before
//! any differ, nobody knows, and the answer is `None`. Seconds and their fraction are one part. Moments in different
//! zones are compared in UTC.

use std::cmp::Ordering;

use super::{Date, DateTime, Precision, Time, calendar};

impl Date {
    /// Which date is earlier; `None` when their precision does not tell.
    pub fn compare(self, other: Date) -> Option<Ordering> {
        DateTime::from(self).compare(DateTime::from(other))
    }
}

impl Time {
    /// Which time of day is earlier; `None` when their precision does not tell.
    pub fn compare(self, other: Time) -> Option<Ordering> {
        let (one, two) = (self.counted(), other.counted());
        compare_parts(&clock_parts(one), self.parts(), &clock_parts(two), other.parts())
    }

    /// How many of the three clock parts are known.
    fn parts(self) -> usize {
        match self.precision {
            Precision::Hour => 1,
            Precision::Minute => 2,
            _ => 3,
        }
    }
}

impl DateTime {
    /// Which moment is earlier; `None` when their precision does not tell.
    ///
    /// A `date` is compared with a `dateTime` by turning it into one first.
    pub fn compare(self, other: DateTime) -> Option<Ordering> {
        let known = (self.parts(), other.parts());
        if known == (6, 6) {
            return Some(self.counted().cmp(&other.counted()));
        }
        compare_parts(&self.all_parts(), known.0, &other.all_parts(), known.1)
    }

    /// How many of the six parts are known.
    fn parts(self) -> usize {
        match self.precision() {
            Precision::Year => 1,
            Precision::Month => 2,
            Precision::Day => 3,
            _ => 3 + self.time.map_or(0, Time::parts),
        }
    }

    /// Year, month, day, hour, minute, nanoseconds, in UTC.
    fn all_parts(self) -> [i64; 6] {
        let (seconds, nanos) = self.counted();
        // Years 0 to 10000 lie well within the range of days.
        let days = i32::try_from(seconds.div_euclid(86_400)).unwrap_or(i32::MAX);
        let (year, month, day) = calendar::date(days);
        let [hour, minute, rest] = clock_parts((seconds.rem_euclid(86_400), nanos));
        [
            i64::from(year),
            i64::from(month),
            i64::from(day),
            hour,
            minute,
            rest,
        ]
    }
}

/// Hour, minute, nanoseconds past the minute.
fn clock_parts((seconds, nanos): (i64, u32)) -> [i64; 3] {
    [
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60 * 1_000_000_000 + i64::from(nanos),
    ]
}

fn compare_parts(one: &[i64], one_known: usize, two: &[i64], two_known: usize) -> Option<Ordering> {
    let shared = one_known.min(two_known);
    let order = one.iter().zip(two).take(shared).map(|(one, two)| one.cmp(two));
    let differing = order.into_iter().find(|order| *order != Ordering::Equal);
    match differing {
        Some(order) => Some(order),
        None => (one_known == two_known).then_some(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime {
        DateTime::parse(text)
            .or_else(|_| DateTime::parse_literal(text))
            .unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn sign(order: Option<Ordering>) -> &'static str {
        match order {
            Some(Ordering::Less) => "<",
            Some(Ordering::Equal) => "=",
            Some(Ordering::Greater) => ">",
            None => "?",
        }
    }

    #[test]
    fn the_first_part_that_differs_decides_and_a_missing_one_leaves_it_open() {
        for (one, expected, two) in [
            ("2012", "=", "2012"),
            ("2012", "<", "2013-01"),
            ("2012", "?", "2012-01"),
            ("2012-01-01", "?", "2012-01-01T00:00:00Z"),
            ("2012-01-02", ">", "2012-01-01T23:59:59Z"),
            ("2012-01-01T10", "?", "2012-01-01T10:30"),
            ("2012-01-01T10:30", "<", "2012-01-01T11"),
            ("2012-01-01T10:30:00Z", "=", "2012-01-01T10:30:00.000Z"),
            ("2012-01-01T10:30:00Z", "<", "2012-01-01T10:30:00.001Z"),
        ] {
            assert_eq!(sign(moment(one).compare(moment(two))), expected, "{one} {two}");
            let reversed = match expected {
                "<" => ">",
                ">" => "<",
                same => same,
            };
            assert_eq!(sign(moment(two).compare(moment(one))), reversed, "{two} {one}");
        }
    }

    #[test]
    fn moments_of_different_zones_are_compared_in_utc() {
        for (one, expected, two) in [
            ("2012-01-01T10:00:00+02:00", "=", "2012-01-01T08:00:00Z"),
            ("2011-12-31T23:00:00-05:00", ">", "2012-01-01T03:59:59Z"),
            ("2012-01-01T01:00:00+02:00", "<", "2012"),
            ("2012-01-01T10:00:00", "=", "2012-01-01T10:00:00Z"),
        ] {
            assert_eq!(sign(moment(one).compare(moment(two))), expected, "{one} {two}");
        }
    }

    #[test]
    fn dates_and_times_are_compared_alike() {
        let date = |text| Date::parse(text).unwrap();
        assert_eq!(sign(date("1970-06").compare(date("1970-07-01"))), "<");
        assert_eq!(sign(date("1970-06").compare(date("1970-06-01"))), "?");
        let time = |text| Time::parse_literal(text).unwrap();
        assert_eq!(sign(time("10:30").compare(time("10:30:00"))), "?");
        assert_eq!(sign(time("10:30:00").compare(time("10:30:00.0"))), "=");
        assert_eq!(sign(time("10:31").compare(time("10:30:59"))), ">");
    }
}
