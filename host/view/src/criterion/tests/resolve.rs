//! `resolve()`: a criterion, a change, the resources that there are.

use crate::testing::{fires_among, value};

const ENCOUNTER: &str = r##"{"resourceType":"Encounter","id":"e","status":"finished",
    "subject":{"reference":"Patient/p"},
    "participant":[{"individual":{"reference":"Practitioner/d"}},{"individual":{"reference":"PractitionerRole/r"}}],
    "serviceProvider":{"reference":"#org"},
    "diagnosis":[{"condition":{"reference":"Condition/gone"}}],
    "contained":[{"resourceType":"Organization","id":"other"},
                 {"resourceType":"Organization","id":"org","name":"Ward","active":true,
                  "partOf":{"reference":"#top"},"endpoint":[{"reference":"#"}]},
                 {"resourceType":"Organization","id":"top","name":"House"}]}"##;
const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"gender":"female","birthDate":"1970-03-01",
    "name":[{"family":"Ash"}],"generalPractitioner":[{"reference":"Practitioner/d"}],
    "managingOrganization":{"reference":"Organization/o"}}"#;
const PRACTITIONER: &str =
    r#"{"resourceType":"Practitioner","id":"d","active":false,"name":[{"family":"Birch"}]}"#;
const ROLE: &str = r#"{"resourceType":"PractitionerRole","id":"r","active":true,
    "practitioner":{"reference":"Practitioner/d"},"organization":{"reference":"Organization/o"}}"#;
const ORGANIZATION: &str =
    r#"{"resourceType":"Organization","id":"o","name":"Clinic","partOf":{"reference":"Organization/top"}}"#;
const TOP: &str =
    r#"{"resourceType":"Organization","id":"top","name":"Trust","partOf":{"reference":"Organization/o"}}"#;
const ALL: [&str; 5] = [PATIENT, PRACTITIONER, ROLE, ORGANIZATION, TOP];

fn check(criterion: &str, expected: &str) {
    let fired = fires_among(criterion, Some(ENCOUNTER), None, &ALL);
    assert_eq!(fired, expected, "{criterion}");
}

#[test]
fn a_path_goes_on_in_the_resource_that_a_reference_names() {
    for (criterion, expected) in [
        ("subject.resolve().ofType(Patient).active = true", "true"),
        ("subject.resolve().gender = 'female'", "true"),
        ("subject.resolve().gender = 'male'", "false"),
        ("%current.subject.resolve().exists()", "true"),
        ("%previous.subject.resolve().exists()", "false"),
        ("subject.resolve().birthDate < @1980-01-01", "true"),
        ("subject.resolve().ofType(Patient).name.family = 'Ash'", "true"),
        (
            "(subject.resolve() as Patient).name.where(family = 'Ash').exists()",
            "true",
        ),
        ("subject.resolve() is Patient", "true"),
        ("subject.resolve() is Group", "false"),
        ("subject.resolve().ofType(Group).exists()", "false"),
        ("subject.resolve().id = 'p'", "true"),
        (
            "subject.resolve().getResourceKey() = subject.getReferenceKey(Patient)",
            "true",
        ),
        ("participant.individual.resolve().count() = 2", "true"),
        (
            "participant.where(individual.resolve().ofType(Practitioner).exists()).count() = 1",
            "true",
        ),
        (
            "participant.individual.resolve().ofType(PractitionerRole).active",
            "true",
        ),
        ("participant.individual.resolve().active.allTrue()", "false"),
    ] {
        check(criterion, expected);
    }
}

#[test]
fn what_is_not_there_or_not_here_is_nothing() {
    check("diagnosis.condition.resolve().exists()", "false");
    check("diagnosis.condition.resolve().empty()", "true");
    for reference in [
        r#"{"reference":"Patient/other"}"#,
        r#"{"reference":"https://a.example/fhir/Patient/p"}"#,
        r#"{"reference":"urn:uuid:6a1a5a0e-8f3f-4f0c-8d0a-3f5a6f1f3c11"}"#,
        r#"{"reference":"Patient?identifier=p"}"#,
        r##"{"reference":"#none"}"##,
        r#"{"identifier":{"value":"p"},"type":"Patient"}"#,
        r#"{"display":"Ash"}"#,
    ] {
        let encounter = format!(r#"{{"resourceType":"Encounter","subject":{reference}}}"#);
        let fired = fires_among("subject.resolve().exists()", Some(&encounter), None, &ALL);
        assert_eq!(fired, "false", "{reference}");
    }
}

#[test]
fn the_version_in_a_reference_is_not_looked_at_and_escapes_are_read() {
    for reference in [r"Patient/p/_history/1", r"Patient\/p"] {
        let encounter = format!(r#"{{"resourceType":"Encounter","subject":{{"reference":"{reference}"}}}}"#);
        let fired = fires_among("subject.resolve().active", Some(&encounter), None, &ALL);
        assert_eq!(fired, "true", "{reference}");
    }
}

#[test]
fn a_resource_of_another_type_than_the_reference_may_point_at_is_kept_apart_by_its_own() {
    let encounter = r#"{"resourceType":"Encounter","serviceProvider":{"reference":"Patient/p"}}"#;
    let fired = |criterion| fires_among(criterion, Some(encounter), None, &ALL);
    assert_eq!(
        fired("serviceProvider.resolve().ofType(Organization).exists()"),
        "false"
    );
    assert_eq!(fired("serviceProvider.resolve() is Organization"), "false");
    assert_eq!(fired("serviceProvider.resolve().name.exists()"), "false");
}

#[test]
fn contained_resources_are_resolved_within_the_resource_that_holds_them() {
    for (criterion, expected) in [
        ("serviceProvider.resolve().name = 'Ward'", "true"),
        ("serviceProvider.resolve().active", "true"),
        (
            "serviceProvider.resolve().partOf.resolve().name = 'House'",
            "true",
        ),
        (
            "contained.ofType(Organization).where(id = 'org').partOf.resolve().name = 'House'",
            "true",
        ),
        ("serviceProvider.resolve().endpoint.resolve().exists()", "true"),
    ] {
        check(criterion, expected);
    }
    let holder = r##"{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"#in"},
        "contained":[{"resourceType":"Organization","id":"in","name":"Inner"}]}"##;
    let criterion = "subject.resolve().ofType(Patient).managingOrganization.resolve().name = 'Inner'";
    assert_eq!(fires_among(criterion, Some(ENCOUNTER), None, &[holder]), "true");
}

#[test]
fn references_of_both_versions_are_followed() {
    let before = r#"{"resourceType":"Encounter","id":"e","subject":{"reference":"Patient/q"}}"#;
    let other = r#"{"resourceType":"Patient","id":"q","active":false}"#;
    let criterion = "%current.subject.resolve().active = true and %previous.subject.resolve().active = false";
    let fired = fires_among(criterion, Some(ENCOUNTER), Some(before), &[PATIENT, other]);
    assert_eq!(fired, "true");
    let deleted = fires_among("subject.resolve().active", None, Some(ENCOUNTER), &ALL);
    assert_eq!(deleted, "true");
}

#[test]
fn three_references_in_a_row_are_followed_and_no_more() {
    check(
        "subject.resolve().ofType(Patient).managingOrganization.resolve().partOf.resolve().name = 'Trust'",
        "true",
    );
    // A ring ends where the expression does.
    check(
        "participant.individual.resolve().ofType(PractitionerRole).organization.resolve().partOf.resolve().name \
         = 'Trust'",
        "true",
    );
    check(
        "subject.resolve().ofType(Patient).managingOrganization.resolve().partOf.resolve().partOf.resolve().exists()",
        "fhirPathCriteria, character 90: `resolve()` behind 3 others; follow at most 3 references in a row [VIEW-029]",
    );
    check(
        "serviceProvider.resolve().repeat(partOf.resolve()).exists()",
        "fhirPathCriteria, character 41: `resolve()` within `repeat`; write the steps out, 3 at most [VIEW-031]",
    );
}

#[test]
fn paths_are_checked_against_the_types_that_a_reference_may_point_at() {
    for (criterion, expected) in [
        (
            "subject.resolve().gendr = 'x'",
            "fhirPathCriteria, character 19: `gendr` is no element of a Patient or Group; did you mean `gender` [VIEW-021]",
        ),
        (
            "subject.resolve().ofType(Group).gender = 'x'",
            "fhirPathCriteria, character 33: `gender` is no element of a Group; it has `active`, `actual`, \
             `characteristic`, `code`, `identifier`, `managingEntity`, `member`, `meta`, `name`, `quantity`, `type` \
             [VIEW-021]",
        ),
        (
            "subject.resolve().ofType(Device).exists()",
            "fhirPathCriteria, character 19: the value is never of the type `Device`; it is one of `Patient`, `Group` [VIEW-030]",
        ),
        (
            "status.resolve().exists()",
            "fhirPathCriteria, character 8: `resolve()` of a code; call it on a reference, such as `subject.resolve()` \
             [VIEW-027]",
        ),
        (
            "subject.resolve(1)",
            "fhirPathCriteria, character 9: `resolve()` with an argument; write it as `resolve()` [VIEW-024]",
        ),
        (
            "subject.reslove()",
            "fhirPathCriteria, character 9: the function `reslove()` is not supported; did you mean `resolve()` \
             [VIEW-023]",
        ),
    ] {
        check(criterion, expected);
    }
}

#[test]
fn a_reference_to_anything_needs_a_type_before_an_element() {
    let list = r#"{"resourceType":"List","entry":[{"item":{"reference":"Patient/p"}},
        {"item":{"reference":"Organization/o"}}]}"#;
    let fired = |criterion| fires_among(criterion, Some(list), None, &ALL);
    assert_eq!(fired("entry.item.resolve().count() = 2"), "true");
    assert_eq!(
        fired("entry.item.resolve().ofType(Patient).gender = 'female'"),
        "true"
    );
    assert_eq!(
        fired("entry.item.resolve().where($this is Organization).exists()"),
        "true"
    );
    assert_eq!(
        fired("entry.item.resolve().ofType(Observation).exists()"),
        "false"
    );
    assert_eq!(
        fired("entry.item.resolve().gender = 'female'"),
        "fhirPathCriteria, character 22: `gender` of a reference that may point at a resource of any type; write \
         `.ofType(Patient)`, or the type that is meant, before it [VIEW-021]"
    );
}

#[test]
fn what_is_not_at_hand_leaves_the_answer_open_only_where_it_counts() {
    let unread = format!("?{PATIENT}");
    let fired = |criterion| fires_among(criterion, Some(ENCOUNTER), None, &[unread.as_str(), PRACTITIONER]);
    assert_eq!(fired("subject.resolve().active"), "unknown");
    assert_eq!(fired("subject.resolve().exists().not()"), "unknown");
    assert_eq!(fired("status = 'planned' and subject.resolve().active"), "false");
    assert_eq!(
        fired("participant.individual.resolve().ofType(Practitioner).exists()"),
        "true"
    );
    let behind = format!("?{ORGANIZATION}");
    let criterion = "subject.resolve().ofType(Patient).managingOrganization.resolve().name = 'Clinic'";
    assert_eq!(
        fires_among(criterion, Some(ENCOUNTER), None, &[PATIENT, &behind]),
        "unknown"
    );
}

#[test]
fn a_list_too_long_to_follow_is_an_error() {
    let item = |number: usize| format!(r#"{{"item":{{"reference":"Patient/{number}"}}}}"#);
    let list = |count: usize| {
        let items: Vec<String> = (0..count).map(item).collect();
        format!(r#"{{"resourceType":"List","entry":[{}]}}"#, items.join(","))
    };
    let fired = |count| fires_among("entry.item.resolve().exists()", Some(&list(count)), None, &[]);
    assert_eq!(fired(1_000), "false");
    assert_eq!(fired(1_001), "more than 1000 references to resolve [VIEW-107]");
}

#[test]
fn a_view_still_sees_one_resource() {
    assert_eq!(
        value(PATIENT, "managingOrganization.resolve().name"),
        ".path, character 22: the function `resolve()` is not supported; a view sees one resource; use \
         `getReferenceKey()` and join in SQL [VIEW-023]"
    );
}
