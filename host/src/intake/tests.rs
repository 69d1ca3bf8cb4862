//! What intake takes and refuses, and what it says.

use super::*;
use crate::change::Matched;

fn intake() -> Intake {
    let matcher: Matcher = Arc::new(|_, _, _| Matched::default());
    Intake::new(Arc::new(move || matcher.clone()), 1000)
}

const ODD: &str = r#"{"resourceType":"Patient","id":"p","birthDate":"Secret","nme":"Secret"}"#;

/// The type that a request names, but for a text of a type that none could name, or of no type.
fn wanted(text: &str) -> Option<&'static str> {
    (text.contains("resourceType") && !text.contains("HumanName")).then_some("Patient")
}

/// `taken`, or why not.
fn said(result: Result<Body, Refusal>) -> String {
    result.map_or_else(|refusal| refusal.to_string(), |_| "taken".to_owned())
}

#[test]
fn what_r4_does_not_allow_is_refused_unless_it_is_to_be_reported() {
    let (strict, lenient) = (intake(), intake().on_invalid(OnInvalid::Report));
    let refused = said(strict.check(Some("Patient"), ODD.as_bytes()));
    assert!(
        refused.contains("`Patient.birthDate`") && refused.ends_with(", and 1 more [INTAKE-010]"),
        "{refused}"
    );
    assert!(!refused.contains("Secret"), "{refused}");
    assert_eq!(said(lenient.check(Some("Patient"), ODD.as_bytes())), "taken");
    assert_eq!(said(strict.check_form(Some("Patient"), ODD.as_bytes())), "taken");
}

#[test]
fn a_loader_that_asks_for_a_report_gets_the_resource_and_the_places() {
    let checked = intake()
        .check_as(OnInvalid::Report, None, ODD.as_bytes())
        .unwrap();
    let places: Vec<_> = checked.issues.iter().map(|issue| &*issue.expression).collect();
    assert_eq!(
        (checked.body.id(), places),
        (Some("p"), vec!["Patient.birthDate", "Patient.nme"])
    );
    let good = intake()
        .check_as(OnInvalid::Report, None, br#"{"resourceType":"Patient"}"#)
        .unwrap();
    assert!(good.issues.is_empty());
}

#[test]
fn what_is_wrong_otherwise_is_refused_in_either_case() {
    for (text, code) in [
        (r#"{"resourceType":"Patient","x":1"#, "INTAKE-002"),
        (
            r#"{"resourceType":"Patient","active":true,"active":true}"#,
            "INTAKE-002",
        ),
        (r#"{"active":true}"#, "INTAKE-003"),
        (r#"{"resourceType":"HumanName"}"#, "INTAKE-004"),
        (r#"{"resourceType":"Observation"}"#, "INTAKE-005"),
        (r#"{"resourceType":"Patient","id":"a_b","x":1}"#, "INTAKE-006"),
    ] {
        for on_invalid in [OnInvalid::Refuse, OnInvalid::Report] {
            let refusal = intake()
                .check_as(on_invalid, wanted(text), text.as_bytes())
                .unwrap_err();
            assert!(refusal.to_string().contains(code), "{refusal}");
        }
        assert!(
            said(intake().check_form(wanted(text), text.as_bytes())).contains(code),
            "{text}"
        );
    }
    let long = format!(r#"{{"resourceType":"Patient","x":"{}"}}"#, "x".repeat(1000));
    assert!(said(intake().check(None, long.as_bytes())).contains("INTAKE-001"));
}

#[test]
fn a_text_without_a_type_is_of_the_type_that_the_request_names() {
    for (text, typed) in [
        (r#"{"id":"p"} "#, r#"{"id":"p","resourceType":"Patient"}"#),
        ("{ }", r#"{"resourceType":"Patient"}"#),
    ] {
        let [given, said] = [text, typed].map(|text| {
            let body = intake().check(Some("Patient"), text.as_bytes()).unwrap();
            let key = ResourceKey::new("Patient", "p").unwrap();
            body.stamped(&key, crate::change::Sequence(1), crate::change::Timestamp(0))
        });
        assert_eq!(given, said);
    }
    let odd = "{\n  \"id\": \"p\", \"nme\": 1 }";
    let refused = said(intake().check(Some("Patient"), odd.as_bytes()));
    assert!(refused.contains("`Patient.nme`"), "{refused}");
    for (wanted, text) in [
        (Some("Patient"), r#"{"resourceType":7}"#),
        (Some("HumanName"), r#"{"id":"p"}"#),
        (None, r#"{"id":"p"}"#),
    ] {
        let refused = said(intake().check(wanted, text.as_bytes()));
        assert!(refused.contains("INTAKE-003"), "{refused}");
    }
}

#[test]
fn only_the_ids_of_definitions_may_have_an_underscore() {
    let id = |resource_type: &str, id: &str| key(resource_type, id).is_ok();
    assert!(id("ViewDefinition", "patient_flat") && id("AidboxSubscriptionTopic", "a_b"));
    assert!(!id("Patient", "patient_flat") && !id("ViewDefinition", "a/b"));
    let view = r#"{"resourceType":"ViewDefinition","id":"patient_flat"}"#;
    assert_eq!(said(intake().check(None, view.as_bytes())), "taken");
}

#[test]
fn definitions_are_left_to_their_own_checks_also_inside_a_bundle() {
    let view = r#"{"resourceType":"ViewDefinition","select":[{}],"status":["active"]}"#;
    assert_eq!(said(intake().check(None, view.as_bytes())), "taken");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{view}}}]}}"#);
    assert_eq!(said(intake().check(None, bundle.as_bytes())), "taken");
    let odd = bundle.replace(view, ODD);
    assert!(said(intake().check(None, odd.as_bytes())).contains("`Bundle.entry[0].resource.birthDate`"));
}
