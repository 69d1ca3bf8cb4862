//! The table knows what R4 says.

use super::*;

fn info(name: &str) -> &'static TypeInfo {
    type_named(name).unwrap_or_else(|| panic!("no type {name}"))
}

/// `name cardinality types`, as the table's own lines have it.
fn described(owner: &str, name: &str) -> String {
    let Some(element) = info(owner).element(name) else {
        return "unknown".to_owned();
    };
    let types: Vec<_> = element.types().iter().map(|one| one.type_info().name()).collect();
    let choice = if element.is_choice() { "[x]" } else { "" };
    let max = if element.is_many() { "*" } else { "1" };
    format!(
        "{}{choice} {}..{max} {}",
        element.name(),
        element.min(),
        types.join(" ")
    )
}

#[test]
fn the_resource_types_are_those_of_r4() {
    assert_eq!(resource_types().count(), 146);
    for name in [
        "Patient",
        "Observation",
        "Bundle",
        "Binary",
        "Parameters",
        "MedicinalProduct",
    ] {
        assert!(is_resource_type(name), "{name}");
    }
    for name in [
        "Resource",
        "DomainResource",
        "HumanName",
        "Patient.contact",
        "SubscriptionStatus",
        "patient",
        "",
    ] {
        assert!(!is_resource_type(name), "{name}");
    }
    assert!(resource_types().map(TypeInfo::name).is_sorted());
}

#[test]
fn elements_have_their_cardinality_and_types() {
    assert_eq!(described("Patient", "birthDate"), "birthDate 0..1 date");
    assert_eq!(described("Patient", "name"), "name 0..* HumanName");
    assert_eq!(
        described("Patient", "deceased"),
        "deceased[x] 0..1 boolean dateTime"
    );
    assert_eq!(described("Patient", "contact"), "contact 0..* Patient.contact");
    assert_eq!(
        described("Patient.contact", "relationship"),
        "relationship 0..* CodeableConcept"
    );
    assert_eq!(described("Observation", "status"), "status 1..1 code");
    assert_eq!(described("CodeableConcept", "coding"), "coding 0..* Coding");
    assert_eq!(
        described("Timing.repeat", "bounds"),
        "bounds[x] 0..1 Duration Range Period"
    );
    assert_eq!(described("Narrative", "div"), "div 1..1 xhtml");
    assert_eq!(described("Patient", "valueQuantity"), "unknown");
}

#[test]
fn what_a_base_declares_belongs_to_each_type() {
    assert_eq!(described("Patient", "id"), "id 0..1 id");
    assert_eq!(described("Patient", "meta"), "meta 0..1 Meta");
    assert_eq!(described("Patient", "contained"), "contained 0..* Resource");
    assert_eq!(described("Bundle", "implicitRules"), "implicitRules 0..1 uri");
    assert_eq!(described("Bundle", "extension"), "unknown");
    assert_eq!(
        described("Patient.contact", "modifierExtension"),
        "modifierExtension 0..* Extension"
    );
    assert_eq!(described("HumanName", "id"), "id 0..1 string");
    assert_eq!(described("HumanName", "modifierExtension"), "unknown");
    assert_eq!(described("Age", "value"), "value 0..1 decimal");
    assert_eq!(described("date", "extension"), "extension 0..* Extension");
}

#[test]
fn a_reference_to_another_part_is_that_part() {
    assert_eq!(
        described("Questionnaire.item", "item"),
        "item 0..* Questionnaire.item"
    );
    assert_eq!(
        described("QuestionnaireResponse.item.answer", "item"),
        "item 0..* QuestionnaireResponse.item"
    );
    assert_eq!(described("Bundle.entry", "link"), "link 0..* Bundle.link");
    assert_eq!(
        described("Observation.component", "referenceRange"),
        "referenceRange 0..* Observation.referenceRange"
    );
}

#[test]
fn a_choice_has_a_json_key_for_each_type_and_back() {
    let observation = info("Observation");
    let value = observation.element("value").unwrap();
    let keys: Vec<_> = value.types().iter().map(ElementType::json_key).collect();
    assert_eq!(keys[0], "valueQuantity");
    assert_eq!(value.type_named("dateTime").unwrap().json_key(), "valueDateTime");
    assert_eq!(value.types().len(), 11);
    let Lookup::ChoiceKey {
        element,
        element_type,
    } = observation.lookup("valueCodeableConcept")
    else {
        panic!("a choice key")
    };
    assert_eq!(
        (element.name(), element_type.type_info().name()),
        ("value", "CodeableConcept")
    );
    assert!(matches!(observation.lookup("valueAddress"), Lookup::Unknown));
    assert!(matches!(observation.lookup("value"), Lookup::Element(_)));
}

#[test]
fn an_extension_may_hold_every_open_type() {
    let value = info("Extension").element("value").unwrap();
    assert_eq!(value.types().len(), 50);
    assert_eq!(
        value.type_named("base64Binary").unwrap().json_key(),
        "valueBase64Binary"
    );
    assert!(value.type_named("Reference").unwrap().targets().is_empty());
    let strings: Vec<_> = value
        .types_that_are("string")
        .map(ElementType::json_key)
        .collect();
    assert_eq!(strings, ["valueCode", "valueId", "valueMarkdown", "valueString"]);
}

#[test]
fn types_know_what_they_derive_from() {
    for (name, base) in [
        ("Age", "Quantity"),
        ("code", "string"),
        ("positiveInt", "integer"),
        ("canonical", "uri"),
        ("Patient", "DomainResource"),
        ("Patient", "Resource"),
        ("Binary", "Resource"),
        ("Patient.contact", "BackboneElement"),
        ("HumanName", "Element"),
    ] {
        assert!(info(name).is_a(base), "{name} is a {base}");
    }
    assert!(!info("Binary").is_a("DomainResource"));
    assert!(!info("string").is_a("code"));
    assert!(info("instant").is_primitive() && !info("Period").is_primitive());
}

#[test]
fn references_say_what_they_may_point_at() {
    let subject = info("Encounter").element("subject").unwrap();
    assert_eq!(subject.types()[0].targets(), ["Patient", "Group"]);
    assert_eq!(
        info("Observation").element("focus").unwrap().types()[0].targets(),
        ["Resource"]
    );
    assert!(
        info("Patient").element("name").unwrap().types()[0]
            .targets()
            .is_empty()
    );
}

#[test]
fn what_holds_any_resource_is_open() {
    let resource = info("Bundle.entry")
        .element("resource")
        .unwrap()
        .only_type()
        .unwrap();
    assert!(resource.is_open());
    assert!(
        info("Patient")
            .element("contained")
            .unwrap()
            .only_type()
            .unwrap()
            .is_open()
    );
    assert!(!info("Patient").is_open());
}

#[test]
fn a_misspelt_name_gets_the_nearest_one() {
    assert_eq!(info("Patient").nearest_element("birthdate"), Some("birthDate"));
    assert_eq!(info("Patient").nearest_element("adress"), Some("address"));
    assert_eq!(info("HumanName").nearest_element("famliy"), Some("family"));
    assert_eq!(info("Patient").nearest_element("zzzzzzzz"), None);
    assert_eq!(nearest_resource_type("Pateint"), Some("Patient"));
    assert_eq!(nearest_type("datetime"), Some("dateTime"));
}
