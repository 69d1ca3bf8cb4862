//! What `If-Match` and `If-None-Match` ask of a write.

use crate::change::Sequence;
use crate::log::Precondition;

/// Reads `If-Match`: `*`, a bare version number, or an entity tag of one. None when it is none of them.
///
/// A version that cannot exist, a tag that is not a number, is taken as one that never matches.
pub fn if_match(value: &str) -> Option<Precondition> {
    let value = value.trim();
    if value == "*" {
        return Some(Precondition::Exists);
    }
    let tag = value.strip_prefix("W/").unwrap_or(value);
    let version = match tag.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        // What is not quoted is a number, not a tag.
        None if tag.bytes().all(|byte| byte.is_ascii_digit()) => tag,
        None => return None,
    };
    if version.is_empty() || version.contains(['"', ',', ' ']) {
        return None;
    }
    // No version has the number 0.
    Some(Precondition::VersionIs(Sequence(version.parse().unwrap_or(0))))
}

/// Reads a write's `If-None-Match`, which has one meaning there: `*`, only if there is no such resource.
pub fn if_none_match(value: &str) -> Option<Precondition> {
    (value.trim() == "*").then_some(Precondition::Absent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_a_bare_number_as_well_as_a_tag() {
        let version = Some(Precondition::VersionIs(Sequence(30)));
        for text in ["30", "\"30\"", "W/\"30\"", " W/\"30\" "] {
            assert_eq!(if_match(text), version, "{text}");
        }
        assert_eq!(if_match("*"), Some(Precondition::Exists));
    }

    #[test]
    fn a_version_that_cannot_exist_never_matches() {
        assert_eq!(if_match("W/\"abc\""), Some(Precondition::VersionIs(Sequence(0))));
    }

    #[test]
    fn a_list_of_tags_or_half_a_tag_is_not_taken_for_something_else() {
        for text in ["", "W/\"30", "\"1\", \"2\"", "1,2", "W/", "garbage"] {
            assert_eq!(if_match(text), None, "{text}");
        }
    }
}
