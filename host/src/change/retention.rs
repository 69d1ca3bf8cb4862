//! How long a store keeps what was superseded.

use std::str::FromStr;
use std::time::Duration;

/// How long versions are kept that are no resource's newest. The newest ones are kept for ever, deletes included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// For ever.
    #[default]
    All,
    /// Until every destination has them.
    Delivered,
    /// For this time at least, and until every destination has them.
    Age(Duration),
}

/// A text that names no retention.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a retention; write \"all\", \"delivered\", or an age such as \"30 days\" or \"12 hours\"")]
pub struct NotARetention;

impl FromStr for Retention {
    type Err = NotARetention;

    fn from_str(text: &str) -> Result<Self, NotARetention> {
        match text {
            "all" => return Ok(Self::All),
            "delivered" => return Ok(Self::Delivered),
            _ => {}
        }
        let (count, unit) = text.split_once(' ').ok_or(NotARetention)?;
        let seconds: u64 = match unit.strip_suffix('s').unwrap_or(unit) {
            "hour" => 60 * 60,
            "day" => 24 * 60 * 60,
            "week" => 7 * 24 * 60 * 60,
            _ => return Err(NotARetention),
        };
        // A count that is no number of years is a mistake, and would not fit a timestamp.
        let count: u32 = count.parse().map_err(|_| NotARetention)?;
        match count {
            0 | 1_000_001.. => Err(NotARetention),
            _ => Ok(Self::Age(Duration::from_secs(seconds * u64::from(count)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_word_or_an_age() {
        let hours = |hours: u64| Ok(Retention::Age(Duration::from_secs(hours * 3_600)));
        for (text, expect) in [
            ("all", Ok(Retention::All)),
            ("delivered", Ok(Retention::Delivered)),
            ("1 hour", hours(1)),
            ("30 days", hours(720)),
            ("2 weeks", hours(336)),
            ("0 days", Err(NotARetention)),
            ("-1 days", Err(NotARetention)),
            ("30", Err(NotARetention)),
            ("30 minutes", Err(NotARetention)),
            ("99999999999 days", Err(NotARetention)),
            ("", Err(NotARetention)),
        ] {
            assert_eq!(text.parse(), expect, "{text}");
        }
    }
}
