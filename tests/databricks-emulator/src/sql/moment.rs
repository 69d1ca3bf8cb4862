//! Dates and timestamps as Spark's typed literals and casts read them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::types::SqlType;

/// Whether a text is a date or timestamp as a typed literal takes it.
pub(super) fn is_moment(text: &str, sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Date => date(text).is_some(),
        _ => timestamp(text).is_some(),
    }
}

/// Days of a date such as `2024-01-02`, `2024-1` or `2024`.
pub(super) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    let text = text.split_once(['T', ' ']).map_or(text, |(day, _)| day);
    let mut parts = text.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() >= 4)?;
    let month = parts.next().unwrap_or("1");
    let day = parts.next().unwrap_or("1");
    let is_short =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
    if !is_short(month) || !is_short(day) || !year.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
    i32::try_from((day - NaiveDate::default()).num_days()).ok()
}

/// Microseconds of a timestamp, with or without a zone; without is UTC.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_micros());
    }
    let bare = text.trim_end_matches('Z').trim_end_matches(" UTC");
    if let Some((day, time)) = bare.split_once(['T', ' ']) {
        if let Some(at) = time.find(['+', '-']) {
            let zone = &time[at..];
            let zone = if zone.len() == 3 {
                format!("{zone}:00")
            } else {
                zone.to_owned()
            };
            let moment = DateTime::parse_from_rfc3339(&format!("{day}T{}{zone}", &time[..at])).ok()?;
            return Some(moment.timestamp_micros());
        }
        let clock = ["%H:%M:%S%.f", "%H:%M"]
            .iter()
            .find_map(|form| NaiveTime::parse_from_str(time, form).ok())?;
        let midnight = i64::from(date(day)?) * 86_400_000_000;
        let since = NaiveDateTime::new(NaiveDate::default(), clock)
            .and_utc()
            .timestamp_micros();
        return Some(midnight + since);
    }
    date(bare).map(|days| i64::from(days) * 86_400_000_000)
}
