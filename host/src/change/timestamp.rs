//! A point in time as FHIR's `instant` writes it.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z; prints as `2026-04-01T10:00:00.000000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time now, by the machine's clock. The one place in this module that reads it.
    pub fn now() -> Self {
        Self(chrono::Utc::now().timestamp_micros())
    }

    /// Reads an RFC 3339 text with its zone; digits past the microsecond are cut.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Self(time.timestamp_micros()))
    }

    /// The next `lastUpdated` of a resource whose last one was `previous`: now, or a microsecond after it when
    /// the clock has not moved on.
    pub fn after(self, previous: Option<Self>) -> Self {
        previous.map_or(self, |previous| Self(self.0.max(previous.0 + 1)))
    }

    /// As HTTP's dates are written, to the second: `Wed, 01 Apr 2026 10:00:00 GMT`.
    pub fn to_http_date(self) -> String {
        self.to_chrono().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn to_chrono(self) -> DateTime<chrono::Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_updated_grows_even_when_the_clock_stands_still_or_goes_back() {
        let previous = Timestamp(1_000);
        assert_eq!(Timestamp(1_000).after(Some(previous)), Timestamp(1_001));
        assert_eq!(Timestamp(10).after(Some(previous)), Timestamp(1_001));
        assert_eq!(Timestamp(5_000).after(Some(previous)), Timestamp(5_000));
        assert_eq!(Timestamp(5_000).after(None), Timestamp(5_000));
    }

    #[test]
    fn a_timestamp_prints_as_an_instant_with_microseconds() {
        let time = Timestamp::parse("2026-04-01T12:00:00.1234567+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-04-01T10:00:00.123456Z");
        assert_eq!(time.to_http_date(), "Wed, 01 Apr 2026 10:00:00 GMT");
    }
}
