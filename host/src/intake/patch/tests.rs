//! Patches of a small resource, and what they make of it.

use super::*;
use crate::change::{ResourceKey, Sequence, Timestamp, VersionStatus};

fn version(rest: &str) -> Version {
    let resource = format!(
        r#"{{"resourceType":"Observation","id":"o","meta":{{"versionId":"7","lastUpdated":"1970-01-01T00:00:00.000000Z"}}{rest}}}"#
    );
    Version {
        key: ResourceKey::new("Observation", "o").unwrap(),
        sequence: Sequence(7),
        status: VersionStatus::Created,
        last_updated: Timestamp(0),
        created_at: Timestamp(0),
        resource: resource.into(),
        source: None,
    }
}

/// What a patch makes of `{…,"a":1.00,"list":[1,2]}`: the members behind `meta`, `same`, or the refusal's code.
fn outcome(patch: Result<Patch, PatchRefusal>) -> String {
    let version = version(r#","a":1.00,"list":[1,2]"#);
    match patch.and_then(|patch| patch.apply(&version)) {
        Ok(Patched::Same) => "same".to_owned(),
        Ok(Patched::Text(text)) => {
            let stripped = created_at::strip(&text).into_owned();
            let text = String::from_utf8(stripped).unwrap();
            text.split_once("},")
                .map_or(text.clone(), |(_, rest)| rest.to_owned())
        }
        Err(refusal) => {
            let text = refusal.to_string();
            text[text.rfind('[').unwrap()..].to_owned()
        }
    }
}

fn check_json(patch: &str, expect: &str) {
    assert_eq!(outcome(Patch::json(patch.as_bytes())), expect, "{patch}");
}

fn check_merge(patch: &str, expect: &str) {
    assert_eq!(outcome(Patch::merge(patch.as_bytes())), expect, "{patch}");
}

#[test]
fn a_json_patch_is_applied_in_order_and_leaves_other_digits_as_they_are() {
    check_json(
        r#"[{"op":"add","path":"/list/-","value":3.50}]"#,
        r#""a":1.00,"list":[1,2,3.50]}"#,
    );
    check_json(
        r#"[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":2}]"#,
        r#""a":2,"list":[1,2]}"#,
    );
    check_json(
        r#"[{"op":"move","from":"/list/0","path":"/b"},{"op":"copy","from":"/b","path":"/list/0"}]"#,
        r#""a":1.00,"list":[1,2],"b":1}"#,
    );
    check_json(
        r#"[{"op":"add","path":"/meta/tag","value":[]},{"op":"remove","path":"/meta/tag"},{"op":"remove","path":"/list"}]"#,
        r#""a":1.00}"#,
    );
}

#[test]
fn a_merge_patch_sets_what_it_has_and_removes_what_is_null() {
    check_merge(r#"{"list":[9.0]}"#, r#""a":1.00,"list":[9.0]}"#);
    check_merge(
        r#"{"list":null,"b":{"c":null,"d":0.10}}"#,
        r#""a":1.00,"b":{"d":0.10}}"#,
    );
}

#[test]
fn a_patch_that_changes_nothing_says_so() {
    check_json("[]", "same");
    check_json(r#"[{"op":"test","path":"/a","value":1.000}]"#, "same");
    check_json(
        r#"[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/b"}]"#,
        "same",
    );
    check_json(r#"[{"op":"remove","path":"/meta/extension"}]"#, "same");
    check_merge("{}", "same");
    check_merge(r#"{"id":"o","meta":{"versionId":"7"},"none":null}"#, "same");
    check_merge(r#"{"meta":null}"#, "same");
    // Other digits are another value to keep.
    check_merge(r#"{"a":1.0}"#, r#""a":1.0,"list":[1,2]}"#);
}

#[test]
fn a_patch_that_is_none_is_told_from_one_that_does_not_fit() {
    check_json("{}", "[PATCH-002]");
    check_json("[1]", "[PATCH-003]");
    check_json(r#"[{"op":"add","path":"/b"}]"#, "[PATCH-003]");
    check_json(r#"[{"op":"delete","path":"/b"}]"#, "[PATCH-003]");
    check_json(r#"[{"op":"remove","path":"b"}]"#, "[PATCH-003]");
    check_json("[", "[PATCH-001]");
    check_json(r#"[{"op":"add","path":"/b","value":"\u0000"}]"#, "[PATCH-001]");
    check_json(
        &format!("[{}]", [r#"{"op":"remove","path":"/x"}"#; 1001].join(",")),
        "[PATCH-004]",
    );
    check_merge("[]", "[PATCH-005]");
    check_json(r#"[{"op":"remove","path":"/b"}]"#, "[PATCH-006]");
    check_json(r#"[{"op":"add","path":"/list/9","value":1}]"#, "[PATCH-006]");
    check_json(r#"[{"op":"test","path":"/a","value":"1.00"}]"#, "[PATCH-007]");
}

#[test]
fn a_patch_cannot_change_what_is_the_servers() {
    for member in ["/id", "/resourceType", "/meta/versionId", "/meta/lastUpdated"] {
        let patch = format!(r#"[{{"op":"replace","path":"{member}","value":"x"}}]"#);
        check_json(&patch, "[PATCH-008]");
    }
    check_json(r#"[{"op":"remove","path":"/id"}]"#, "[PATCH-008]");
    check_json(r#"[{"op":"replace","path":"","value":{}}]"#, "[PATCH-008]");
    check_merge(r#"{"resourceType":"Patient"}"#, "[PATCH-008]");
}

#[test]
fn a_patch_that_doubles_itself_is_stopped() {
    let doubling = vec![r#"{"op":"copy","from":"/list","path":"/list/-"}"#; 60].join(",");
    check_json(&format!("[{doubling}]"), "[PATCH-009]");
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let path = "/b".to_owned() + &"/0".repeat(10);
    let patch = format!(
        r#"[{{"op":"add","path":"/b","value":{deep}}},{{"op":"copy","from":"/b","path":"{path}/-"}}]"#
    );
    check_json(&patch, "[PATCH-009]");
}
