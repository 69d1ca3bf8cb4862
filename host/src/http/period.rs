//! FHIR's dates in a query: each stands for a period, as long as what it leaves out.

use chrono::{
    DateTime, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};

use crate::change::Timestamp;

/// From a point in time, included, to another, not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// Its first microsecond.
    pub(super) start: Timestamp,
    /// The first one behind it.
    pub(super) end: Timestamp,
}

impl Period {
    /// Reads a date, a month, a year, or a time of the precision that it has; UTC where it names no zone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A plus sign that was not encoded in a query arrives as a space.
        let text = text.replace(' ', "+");
        match text.split_once('T') {
            None => of_date(&text),
            Some((date, time)) => of_time(NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?, time),
        }
        .filter(|_| text.as_bytes().get(4).is_none_or(|sign| *sign == b'-'))
    }
}

fn of_date(text: &str) -> Option<Period> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let parse = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let (start, end) = match text.len() {
        4 => {
            let start = parse(&format!("{text}-01-01"))?;
            (start, start.checked_add_months(Months::new(12))?)
        }
        7 => {
            let start = parse(&format!("{text}-01"))?;
            (start, start.checked_add_months(Months::new(1))?)
        }
        10 => {
            let start = parse(text)?;
            (start, start.checked_add_days(Days::new(1))?)
        }
        _ => return None,
    };
    let at_midnight = |date: NaiveDate| timestamp(Utc.from_utc_datetime(&date.and_time(NaiveTime::MIN)));
    is_digits.then(|| Period {
        start: at_midnight(start),
        end: at_midnight(end),
    })
}

fn of_time(date: NaiveDate, text: &str) -> Option<Period> {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (time, zone) = text.split_at(zone_at);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let (format, length) = match (whole.len(), fraction.len()) {
        (5, 0) if !time.contains('.') => ("%H:%M", TimeDelta::minutes(1)),
        (8, 0) if !time.contains('.') => ("%H:%M:%S", TimeDelta::seconds(1)),
        (8, digits @ 1..=9) => {
            let unit = 10_i64.pow(6_u32.saturating_sub(u32::try_from(digits).ok()?));
            ("%H:%M:%S%.f", TimeDelta::microseconds(unit))
        }
        _ => return None,
    };
    let local = NaiveDateTime::new(date, NaiveTime::parse_from_str(time, format).ok()?);
    let start = offset(zone)?.from_local_datetime(&local).single()?;
    Some(Period {
        start: timestamp(start),
        end: timestamp(start.checked_add_signed(length)?),
    })
}

fn offset(zone: &str) -> Option<FixedOffset> {
    match zone {
        "" | "Z" => FixedOffset::east_opt(0),
        zone if zone.len() == 6 => zone.parse().ok(),
        _ => None,
    }
}

fn timestamp<Z: TimeZone>(time: DateTime<Z>) -> Timestamp {
    Timestamp(time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_stands_for_all_that_it_leaves_open() {
        let check = |text: &str, expect: &str| {
            let period = Period::parse(text);
            let text = period.map_or("none".to_owned(), |period| {
                format!("{} {}", period.start, period.end)
            });
            assert_eq!(text.replace(":00.000000Z", "Z"), expect);
        };
        check("2026", "2026-01-01T00:00Z 2027-01-01T00:00Z");
        check("2024-02", "2024-02-01T00:00Z 2024-03-01T00:00Z");
        check("2026-12-31", "2026-12-31T00:00Z 2027-01-01T00:00Z");
        check("2026-04-01T10:30Z", "2026-04-01T10:30Z 2026-04-01T10:31Z");
        check("2026-04-01T10:30", "2026-04-01T10:30Z 2026-04-01T10:31Z");
        check(
            "2026-04-01T12:30:00+02:00",
            "2026-04-01T10:30Z 2026-04-01T10:30:01.000000Z",
        );
        check(
            "2026-04-01T12:30:00 02:00",
            "2026-04-01T10:30Z 2026-04-01T10:30:01.000000Z",
        );
        check(
            "2026-04-01T10:30:00.5Z",
            "2026-04-01T10:30:00.500000Z 2026-04-01T10:30:00.600000Z",
        );
        check(
            "2026-04-01T10:30:00.123456Z",
            "2026-04-01T10:30:00.123456Z 2026-04-01T10:30:00.123457Z",
        );
        for wrong in [
            "",
            "26",
            "2026-13",
            "2026-02-30",
            "2026-4-1",
            "2026-04-01T",
            "2026-04-01T10",
            "2026-04-01T25:00",
            "2026-04-01T10:30:00.Z",
            "2026-04-01T10:30:00+2",
            "+2026-04",
            "now",
            "2026-04-01T10:30:00Zx",
        ] {
            check(wrong, "none");
        }
    }
}
