//! The log's filter.

use tracing_subscriber::EnvFilter;

use crate::issue::suggestion;

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Says what is wrong with a filter.
///
/// The reader takes a lone word that is no level for the name of a part that logs everything, which is what a
/// misspelt level would become; such a word is refused here.
pub(super) fn check(filter: &str) -> Result<(), String> {
    for word in filter.split(',').map(str::trim) {
        let is_level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
        if !is_level && !word.contains(['=', ':', '[']) {
            let near = suggestion(word, LEVELS);
            return Err(format!(
                "`{word}` is not a level{near}{}write one of `{}`, or a filter such as \"lakefeed=debug\"",
                if near.is_empty() { "; " } else { " " },
                LEVELS.join("`, `")
            ));
        }
    }
    match EnvFilter::try_new(filter) {
        Ok(_) => Ok(()),
        Err(_) => Err("not a filter; write it as \"info,lakefeed=debug\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_refused_with_the_nearest_one() {
        for good in ["info", "WARN", "info,lakefeed=debug", "lakefeed::delivery=trace"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let refused = check("inof").unwrap_err();
        assert!(refused.contains("did you mean `info`?"), "{refused}");
        for bad in ["", "lakefeed=loud", "info,,warn"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
