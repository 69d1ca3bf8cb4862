//! What fires: a criterion, the version that was made, the one before.

use crate::testing::fires;

mod functions;
mod resolve;

const ACTIVE: &str = r#"{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"A"}]}"#;
const PASSIVE: &str = r#"{"resourceType":"Patient","id":"a","active":false}"#;

fn check(criterion: &str, current: Option<&str>, previous: Option<&str>, expected: &str) {
    assert_eq!(fires(criterion, current, previous), expected, "{criterion}");
}

#[test]
fn only_true_fires() {
    check("active", Some(ACTIVE), None, "true");
    check("active", Some(PASSIVE), None, "false");
    check("deceased.ofType(boolean)", Some(ACTIVE), None, "false");
    check("name.exists()", Some(ACTIVE), None, "true");
    check("birthDate > @2000-01-01", Some(ACTIVE), None, "false");
}

#[test]
fn one_item_that_is_no_boolean_counts_as_true() {
    check("id", Some(ACTIVE), None, "true");
    check("name.family", Some(PASSIVE), None, "false");
    check("name.family.first() and active", Some(ACTIVE), None, "true");
}

#[test]
fn both_versions_can_be_compared() {
    let change = "%current.active = true and %previous.active = false";
    check(change, Some(ACTIVE), Some(PASSIVE), "true");
    check(change, Some(ACTIVE), Some(ACTIVE), "false");
    check(
        "%current.name != %previous.name",
        Some(ACTIVE),
        Some(ACTIVE),
        "false",
    );
    check("%resource.id = %previous.id", Some(ACTIVE), Some(PASSIVE), "true");
}

#[test]
fn what_is_unknown_does_not_fire_and_a_guard_helps() {
    let bare = "%current.active = true and %previous.active != true";
    check(bare, Some(ACTIVE), None, "false");
    let guarded = "%current.active = true and (%previous.empty() or %previous.active != true)";
    check(guarded, Some(ACTIVE), None, "true");
}

#[test]
fn a_delete_has_no_current_and_bare_paths_mean_the_deleted_one() {
    check("%current.empty()", None, Some(ACTIVE), "true");
    check("name.exists()", None, Some(ACTIVE), "true");
    check("%current.name.exists()", None, Some(ACTIVE), "false");
    check("%previous.name.exists()", None, Some(ACTIVE), "true");
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    check(
        "%curent.active",
        Some(ACTIVE),
        None,
        "fhirPathCriteria, character 1: `%curent` is not defined; did you mean `%current` [VIEW-025]",
    );
    check(
        "%rowIndex = 0",
        Some(ACTIVE),
        None,
        "fhirPathCriteria, character 1: `%rowIndex` is not defined; a criterion knows `%current`, `%previous` and \
         `%resource` [VIEW-025]",
    );
    check(
        "actve",
        Some(ACTIVE),
        None,
        "fhirPathCriteria, character 1: `actve` is no element of a Patient; did you mean `active` [VIEW-021]",
    );
}

#[test]
fn operands_of_the_wrong_kind_are_an_error_without_their_values() {
    let two = r#"{"resourceType":"Patient","name":[{"family":"Secret"},{"family":"Hidden"}]}"#;
    check(
        "name.family and active",
        Some(two),
        None,
        "several values where one boolean belongs [VIEW-107]",
    );
    check(
        "name.family > 'a'",
        Some(two),
        None,
        "several values on one side of a comparison [VIEW-107]",
    );
}
