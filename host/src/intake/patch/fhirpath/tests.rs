//! FHIRPath patches of small resources, and what they make of them.

use super::super::*;
use crate::change::{ResourceKey, Sequence, Timestamp, VersionStatus};

/// The parts of one operation, but for its type.
fn operation(kind: &str, parts: &[String]) -> String {
    let parts = parts.join(",");
    format!(r#"{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{parts}]}}"#)
}

fn part(name: &str, value: &str) -> String {
    format!(r#"{{"name":"{name}",{value}}}"#)
}

fn text(name: &str, value: &str) -> String {
    part(name, &format!(r#""valueString":"{value}""#))
}

fn number(name: &str, value: usize) -> String {
    part(name, &format!(r#""valueInteger":{value}"#))
}

fn add(path: &str, name: &str, value: &str) -> String {
    operation(
        "add",
        &[text("path", path), text("name", name), part("value", value)],
    )
}

fn insert(path: &str, index: usize, value: &str) -> String {
    operation(
        "insert",
        &[text("path", path), number("index", index), part("value", value)],
    )
}

fn delete(path: &str) -> String {
    operation("delete", &[text("path", path)])
}

fn replace(path: &str, value: &str) -> String {
    operation("replace", &[text("path", path), part("value", value)])
}

fn reorder(path: &str, source: usize, destination: usize) -> String {
    operation(
        "move",
        &[
            text("path", path),
            number("source", source),
            number("destination", destination),
        ],
    )
}

fn parameters(operations: &[String]) -> String {
    format!(
        r#"{{"resourceType":"Parameters","parameter":[{}]}}"#,
        operations.join(",")
    )
}

fn version(resource_type: &str, rest: &str) -> Version {
    let comma = if rest.is_empty() { "" } else { "," };
    let resource = format!(
        r#"{{"resourceType":"{resource_type}","id":"i","meta":{{"versionId":"7","lastUpdated":"1970-01-01T00:00:00.000000Z"}}{comma}{rest}}}"#
    );
    Version {
        key: ResourceKey::new(resource_type, "i").unwrap(),
        sequence: Sequence(7),
        status: VersionStatus::Created,
        last_updated: Timestamp(0),
        created_at: Timestamp(0),
        resource: resource.into(),
        source: None,
    }
}

/// What a patch makes of a resource: the members behind `meta`, `same`, or the operation and the code of the refusal.
fn outcome(version: &Version, patch: &str) -> String {
    let patch = Patch::fhirpath(patch.as_bytes());
    match patch.and_then(|patch| patch.apply(version)) {
        Ok(Patched::Same) => "same".to_owned(),
        Ok(Patched::Text(text)) => {
            let text = String::from_utf8(created_at::strip(&text).into_owned()).unwrap();
            let (_, rest) = text.split_once("Z\"}").unwrap();
            rest.trim_start_matches(',').trim_end_matches('}').to_owned() + closing(rest)
        }
        Err(refusal) => {
            let text = refusal.to_string();
            let code = text[text.rfind('[').unwrap() + 1..]
                .trim_end_matches(']')
                .to_owned();
            match refusal {
                PatchRefusal::FhirPath { index, .. } => format!("{index} {code}"),
                _ => code,
            }
        }
    }
}

/// The brackets at the end of a resource's text, without the resource's own.
fn closing(text: &str) -> &str {
    let start = text.trim_end_matches('}').len();
    text.get(start + 1..).unwrap_or_default()
}

fn check_type(resource_type: &str, rest: &str, operations: &[String], expect: &str) {
    let found = outcome(&version(resource_type, rest), &parameters(operations));
    assert_eq!(found, expect, "{operations:?}");
}

fn check(rest: &str, operations: &[String], expect: &str) {
    check_type("Patient", rest, operations, expect);
}

fn check_one(rest: &str, operation: String, expect: &str) {
    check(rest, &[operation], expect);
}

const NAMES: &str = r#""name":[{"use":"usual","given":["A","B"]},{"use":"official","family":"C"}]"#;

#[test]
fn add_appends_to_a_list_and_fills_what_is_empty() {
    check_one(
        "",
        add("Patient", "birthDate", r#""valueDate":"1970-01-01""#),
        r#""birthDate":"1970-01-01""#,
    );
    check_one(
        "",
        add("Patient", "name", r#""valueHumanName":{"text":"x"}"#),
        r#""name":[{"text":"x"}]"#,
    );
    check_one(
        r#""name":[{"text":"x"}]"#,
        add("Patient", "name", r#""valueHumanName":{"text":"y"}"#),
        r#""name":[{"text":"x"},{"text":"y"}]"#,
    );
    check_one(
        r#""name":[{"text":"x"}]"#,
        add("Patient.name[0]", "given", r#""valueString":"z""#),
        r#""name":[{"text":"x","given":["z"]}]"#,
    );
    check_one(
        r#""gender":"male""#,
        add("Patient", "gender", r#""valueCode":"female""#),
        "0 PATCH-021",
    );
    check_one(
        r#""_gender":{"id":"g"}"#,
        add("Patient", "gender", r#""valueCode":"female""#),
        "0 PATCH-021",
    );
    check_one(
        "",
        add("Patient.contact", "gender", r#""valueCode":"male""#),
        "0 PATCH-017",
    );
    check_one(
        NAMES,
        add("Patient.name", "text", r#""valueString":"x""#),
        "0 PATCH-018",
    );
}

#[test]
fn a_value_of_parts_becomes_an_object_whose_lists_are_lists() {
    let contact = r#""part":[{"name":"name","valueHumanName":{"text":"x"}},{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"telecom","valueContactPoint":{"value":"2"}}]"#;
    check_one(
        "",
        add("Patient", "contact", contact),
        r#""contact":[{"name":{"text":"x"},"telecom":[{"value":"1"},{"value":"2"}]}]"#,
    );
    let extension = r#""part":[{"name":"url","valueUri":"urn:x"},{"name":"value","valueDecimal":1.50}]"#;
    check_one(
        "",
        add("Patient", "extension", extension),
        r#""extension":[{"url":"urn:x","valueDecimal":1.50}]"#,
    );
    check_one(
        "",
        add(
            "Patient",
            "contact",
            r#""part":[{"name":"gender","valueCode":"male"},{"name":"gender","valueCode":"male"}]"#,
        ),
        "0 PATCH-021",
    );
    check_one(
        "",
        add(
            "Patient",
            "contact",
            r#""part":[{"name":"gendre","valueCode":"male"}]"#,
        ),
        "0 PATCH-019",
    );
    check_one(
        "",
        add(
            "Patient",
            "contained",
            r#""resource":{"resourceType":"Group","id":"g"}"#,
        ),
        r#""contained":[{"resourceType":"Group","id":"g"}]"#,
    );
}

#[test]
fn insert_and_move_count_positions_from_zero() {
    let name = |text: &str| format!(r#""valueHumanName":{{"text":"{text}"}}"#);
    check_one(
        "",
        insert("Patient.name", 0, &name("x")),
        r#""name":[{"text":"x"}]"#,
    );
    check(
        r#""name":[{"text":"x"}]"#,
        &[
            insert("Patient.name", 0, &name("w")),
            insert("Patient.name", 2, &name("y")),
        ],
        r#""name":[{"text":"w"},{"text":"x"},{"text":"y"}]"#,
    );
    check_one(
        r#""name":[{"text":"x"}]"#,
        insert("Patient.name", 2, &name("y")),
        "0 PATCH-023",
    );
    check_one(
        "",
        insert("Patient.gender", 0, r#""valueCode":"male""#),
        "0 PATCH-022",
    );
    check_one("", insert("Patient.name.first()", 0, &name("x")), "0 PATCH-016");
    check_one(
        "",
        insert("Patient.name.given", 0, r#""valueString":"x""#),
        "0 PATCH-017",
    );
    check_one(
        NAMES,
        insert("Patient.name.given", 0, r#""valueString":"x""#),
        "0 PATCH-018",
    );
    let given = |given: &str| format!(r#""name":[{{"given":[{given}]}}]"#);
    let list = given(r#""a","b","c""#);
    check_one(
        &list,
        reorder("Patient.name[0].given", 0, 2),
        &given(r#""b","c","a""#),
    );
    check_one(
        &list,
        reorder("Patient.name[0].given", 2, 0),
        &given(r#""c","a","b""#),
    );
    check_one(&list, reorder("Patient.name[0].given", 1, 1), "same");
    check_one(&list, reorder("Patient.name[0].given", 3, 0), "0 PATCH-023");
    check_one(&list, reorder("Patient.name[0].given", 0, 3), "0 PATCH-023");
    check_one(&list, reorder("Patient.name[0].family", 0, 0), "0 PATCH-022");
    check_one("", reorder("Patient.name", 0, 0), "0 PATCH-023");
}

#[test]
fn delete_takes_one_element_or_none() {
    check_one(
        r#""active":true,"gender":"male""#,
        delete("Patient.active"),
        r#""gender":"male""#,
    );
    check_one("", delete("Patient.active"), "same");
    check_one(NAMES, delete("Patient.name[7]"), "same");
    check_one(NAMES, delete("Patient.name"), "0 PATCH-018");
    check_one(
        NAMES,
        delete("name.where(use = 'usual')"),
        r#""name":[{"use":"official","family":"C"}]"#,
    );
    check_one(
        r#""name":[{"text":"x"}],"active":true"#,
        delete("Patient.name"),
        r#""active":true"#,
    );
    check_one("", delete("Patient"), "0 PATCH-025");
    check_one("", delete("$this"), "0 PATCH-025");
    check_one("", delete("Patient.id"), "PATCH-008");
}

#[test]
fn replace_needs_something_to_replace() {
    check_one(
        r#""gender":"male""#,
        replace("Patient.gender", r#""valueCode":"female""#),
        r#""gender":"female""#,
    );
    check_one(
        r#""gender":"male""#,
        replace("Patient.gender", r#""valueString":"male""#),
        "same",
    );
    check_one(
        "",
        replace("Patient.gender", r#""valueCode":"female""#),
        "0 PATCH-017",
    );
    check_one(
        NAMES,
        replace(
            "Patient.name.where(use = 'official').family",
            r#""valueString":"D""#,
        ),
        r#""name":[{"use":"usual","given":["A","B"]},{"use":"official","family":"D"}]"#,
    );
    check_one(
        NAMES,
        replace("name[0].given[1]", r#""valueString":"D""#),
        r#""name":[{"use":"usual","given":["A","D"]},{"use":"official","family":"C"}]"#,
    );
    check_one(
        "",
        replace("Patient", r#""resource":{"resourceType":"Patient"}"#),
        "0 PATCH-025",
    );
    for fixed in ["id", "meta.versionId", "meta.lastUpdated"] {
        check_one(
            "",
            replace(fixed, r#""valueInstant":"1970-01-01T00:00:01Z""#),
            match fixed {
                "meta.lastUpdated" => "PATCH-008",
                _ => "0 PATCH-024",
            },
        );
        check_one(
            "",
            replace(fixed, r#""valueId":"x""#),
            match fixed {
                "meta.lastUpdated" => "0 PATCH-024",
                _ => "PATCH-008",
            },
        );
    }
    check_one("", replace("resourceType", r#""valueCode":"Group""#), "PATCH-008");
}

#[test]
fn a_choice_has_the_key_of_its_type() {
    let check = |rest: &str, operation: String, expect: &str| {
        check_type("Observation", rest, &[operation], expect);
    };
    let quantity = r#""valueQuantity":{"value":1.00}"#;
    check("", add("Observation", "value", quantity), quantity);
    check(
        "",
        add("Observation", "value", r#""valueString":"x""#),
        r#""valueString":"x""#,
    );
    check(
        r#""valueString":"x""#,
        add("Observation", "value", quantity),
        "0 PATCH-021",
    );
    check(
        r#""valueString":"x","_valueString":{"id":"v"}"#,
        replace("Observation.value", quantity),
        quantity,
    );
    check(
        quantity,
        replace("value.ofType(Quantity).value", r#""valueDecimal":1.000"#),
        r#""valueQuantity":{"value":1.000}"#,
    );
    check(quantity, delete("(Observation.value as Quantity)"), "");
    check(quantity, delete("Observation.value.ofType(string)"), "same");
    check(quantity, delete("Observation.valueQuantity"), "0 PATCH-020");
    check("", add("Observation", "valueQuantity", quantity), "0 PATCH-020");
    check(
        "",
        add("Observation", "value", r#""valueMoney":{"value":1}"#),
        "0 PATCH-024",
    );
    check(
        "",
        add(
            "Observation",
            "value",
            r#""part":[{"name":"value","valueDecimal":1}]"#,
        ),
        "0 PATCH-024",
    );
    check(
        "",
        add("Observation", "value", r#""valueMarkdown":"x""#),
        r#""valueString":"x""#,
    );
}

#[test]
fn a_value_fits_the_type_of_its_element() {
    check_one(
        "",
        add("Patient", "birthDate", r#""valueString":"1970""#),
        "0 PATCH-024",
    );
    check_one(
        "",
        add("Patient", "name", r#""valueQuantity":{"value":1}"#),
        "0 PATCH-024",
    );
    check_one(
        "",
        add("Patient", "gender", r#""valueHumanName":{"text":"x"}"#),
        "0 PATCH-024",
    );
    check_one(
        "",
        add("Patient", "gender", r#""part":[{"name":"id","valueString":"x"}]"#),
        "0 PATCH-024",
    );
    check_one(
        "",
        add(
            "Patient",
            "contained",
            r#""part":[{"name":"id","valueString":"x"}]"#,
        ),
        "0 PATCH-024",
    );
    check_one(
        "",
        add("Patient", "implicitRules", r#""valueUrl":"urn:x""#),
        r#""implicitRules":"urn:x""#,
    );
    check_one(
        "",
        add(
            "Patient",
            "text",
            r#""part":[{"name":"status","valueCode":"empty"},{"name":"div","valueString":"<div/>"}]"#,
        ),
        r#""text":{"status":"empty","div":"<div/>"}"#,
    );
}

#[test]
fn what_stands_beside_a_primitive_stays_with_it() {
    let given = |given: &str, beside: &str| format!(r#""name":[{{"given":[{given}],"_given":[{beside}]}}]"#);
    let three = given(r#""a","b","c""#, r#"null,{"id":"b"},null"#);
    check_one(
        &three,
        delete("name[0].given[0]"),
        &given(r#""b","c""#, r#"{"id":"b"},null"#),
    );
    check_one(
        &three,
        delete("name[0].given[1]"),
        r#""name":[{"given":["a","c"]}]"#,
    );
    check_one(
        &three,
        replace("name[0].given[1]", r#""valueString":"d""#),
        r#""name":[{"given":["a","d","c"]}]"#,
    );
    check_one(
        &three,
        reorder("name[0].given", 1, 0),
        &given(r#""b","a","c""#, r#"{"id":"b"},null,null"#),
    );
    check_one(
        &three,
        insert("name[0].given", 1, r#""valueString":"d""#),
        &given(r#""a","d","b","c""#, r#"null,null,{"id":"b"},null"#),
    );
    check_one(
        &three,
        add(
            "name[0]",
            "given",
            r#""valueString":"d","_valueString":{"id":"d"}"#,
        ),
        &given(r#""a","b","c","d""#, r#"null,{"id":"b"},null,{"id":"d"}"#),
    );
    check_one(
        r#""name":[{"given":["a"]}]"#,
        add("name[0]", "given", r#""_valueString":{"id":"d"}"#),
        &given(r#""a",null"#, r#"null,{"id":"d"}"#),
    );
    let born = r#""birthDate":"1970","_birthDate":{"id":"b"}"#;
    check_one(born, delete("birthDate"), "");
    check_one(
        born,
        replace("birthDate", r#""valueDate":"1971""#),
        r#""birthDate":"1971""#,
    );
    check_one(
        r#""_birthDate":{"id":"b"}"#,
        replace("birthDate", r#""valueDate":"1971""#),
        r#""birthDate":"1971""#,
    );
}

#[test]
fn a_primitive_has_extensions_beside_it() {
    let extension = r#""part":[{"name":"url","valueUri":"urn:x"},{"name":"value","valueBoolean":true}]"#;
    let made = r#"{"extension":[{"url":"urn:x","valueBoolean":true}]}"#;
    let born = format!(r#""birthDate":"1970","_birthDate":{made}"#);
    check_one(
        r#""birthDate":"1970""#,
        add("birthDate", "extension", extension),
        &born,
    );
    check_one(
        &born,
        delete("birthDate.extension('urn:x')"),
        r#""birthDate":"1970""#,
    );
    check_one(
        &born,
        replace("birthDate.extension('urn:x').value", r#""valueCode":"c""#),
        r#""birthDate":"1970","_birthDate":{"extension":[{"url":"urn:x","valueCode":"c"}]}"#,
    );
    let given = format!(r#""name":[{{"given":["a","b"],"_given":[null,{made}]}}]"#);
    check_one(
        r#""name":[{"given":["a","b"]}]"#,
        add("name.given[1]", "extension", extension),
        &given,
    );
    check_one(
        &given,
        delete("name.given.extension"),
        r#""name":[{"given":["a","b"]}]"#,
    );
    check_one(
        &given,
        delete("name.given.where(extension('urn:x').exists())"),
        r#""name":[{"given":["a"]}]"#,
    );
}

#[test]
fn a_condition_chooses_by_what_an_element_says() {
    let rest = r#""telecom":[{"system":"phone","value":"1","rank":1},{"system":"phone","value":"2","rank":2.0},{"system":"email"}]"#;
    let check = |condition: &str, expect: &str| {
        let path = format!("Patient.telecom.where({condition})");
        let found = match outcome(
            &version("Patient", rest),
            &parameters(&[replace(&path, r#""valueContactPoint":{"id":"x"}"#)]),
        ) {
            made if made.starts_with('"') => {
                let value: Value = serde_json::from_str(&format!("{{{made}}}")).unwrap();
                let list = value["telecom"].as_array().unwrap();
                list.iter().position(|one| one["id"] == "x").unwrap().to_string()
            }
            refused => refused,
        };
        assert_eq!(found, expect, "{condition}");
    };
    check("system = 'email'", "2");
    check("system = 'phone'", "0 PATCH-018");
    check("system = 'phone' and value = '2'", "1");
    check("value = '1' or value = '9'", "0");
    check("system != 'phone'", "2");
    check("value != '1'", "1");
    check("value.exists().not()", "2");
    check("value.empty()", "2");
    check("(value = '1').not()", "1");
    check("rank = 1.0", "0");
    check("rank = 2", "1");
    check("rank", "0 PATCH-018");
    check("rank = '1'", "0 PATCH-017");
    check("exists(value = '2')", "1");
    check("true", "0 PATCH-018");
    check("false", "0 PATCH-017");
    check("nothing = 'x'", "0 PATCH-019");
    check("$this.value = value and value = '1'", "0");
}

#[test]
fn resources_within_a_resource_have_their_own_elements() {
    let rest = r#""contained":[{"resourceType":"Organization","id":"o","name":"x"},{"resourceType":"Patient","id":"q","active":true}]"#;
    let with = |one: &str, other: &str| {
        format!(
            r#""contained":[{{"resourceType":"Organization","id":"o"{one}}},{{"resourceType":"Patient","id":"q"{other}}}]"#
        )
    };
    check_one(
        rest,
        delete("contained.where(id = 'o').name"),
        &with("", r#","active":true"#),
    );
    check_one(rest, delete("contained.active"), &with(r#","name":"x""#, ""));
    check_one(
        rest,
        delete("contained.ofType(Patient).active"),
        &with(r#","name":"x""#, ""),
    );
    check_one(
        rest,
        delete("contained.where(resourceType = 'Organization').name"),
        &with("", r#","active":true"#),
    );
    check_one(
        rest,
        add("contained[0]", "active", r#""valueBoolean":true"#),
        &with(r#","name":"x","active":true"#, r#","active":true"#),
    );
    check_one(rest, delete("contained.nothing"), "same");
    check_one(
        rest,
        add("contained[0]", "gender", r#""valueCode":"male""#),
        "0 PATCH-019",
    );
}

#[test]
fn a_type_that_r4_does_not_have_is_patched_as_it_is_spelt() {
    let check = |rest: &str, operation: String, expect: &str| {
        check_type("ViewDefinition", rest, &[operation], expect);
    };
    check(
        "",
        add("ViewDefinition", "title", r#""valueString":"t""#),
        r#""title":"t""#,
    );
    check(
        r#""title":"t""#,
        replace("ViewDefinition.title", r#""valueString":"u""#),
        r#""title":"u""#,
    );
    check(
        r#""where":[{"path":"a"}]"#,
        add(
            "ViewDefinition",
            "where",
            r#""part":[{"name":"path","valueString":"b"}]"#,
        ),
        r#""where":[{"path":"a"},{"path":"b"}]"#,
    );
    check(
        "",
        insert(
            "ViewDefinition.where",
            0,
            r#""part":[{"name":"path","valueString":"b"}]"#,
        ),
        r#""where":[{"path":"b"}]"#,
    );
    check(
        r#""where":[{"path":"a"},{"path":"b"}]"#,
        delete("ViewDefinition.where.where(path = 'a')"),
        r#""where":[{"path":"b"}]"#,
    );
    check(
        "",
        insert("ViewDefinition.`\\\\u00007`", 0, r#""valueString":"x""#),
        "0 PATCH-019",
    );
    let tagged =
        Patch::fhirpath(parameters(&[add("meta", "tag", r#""valueCoding":{"code":"c"}"#)]).as_bytes());
    let Patched::Text(text) = tagged.unwrap().apply(&version("ViewDefinition", "")).unwrap() else {
        panic!("the tag is new");
    };
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains(r#""tag":[{"code":"c"}]"#)
    );
}

#[test]
fn a_misspelt_path_is_refused_even_where_nothing_is_there() {
    for (path, expect) in [
        ("Patient.nmae", "0 PATCH-019"),
        ("Patient.contact.name.famly", "0 PATCH-019"),
        ("Patient.contact.where(gendre = 'male')", "0 PATCH-019"),
        ("Patient.contact.where(name.exists(famly = 'x'))", "0 PATCH-019"),
        ("Patient.name.extension('u').valu", "0 PATCH-019"),
        ("Patient.birthDate.year", "0 PATCH-019"),
        ("Patient.multipleBirthInteger", "0 PATCH-020"),
        ("Patient.deceased.ofType(boolean)", "same"),
        ("Patient.extension('u').value.unit", "same"),
        ("Patient.contact.name.family", "same"),
        ("Patient.contained.ofType(Observation).value.unit", "same"),
        ("DomainResource.language", "same"),
        ("Observation.language", "0 PATCH-019"),
    ] {
        check_one("", delete(path), expect);
    }
}

#[test]
fn operations_see_what_those_before_them_have_made() {
    check(
        "",
        &[
            add("Patient", "name", r#""valueHumanName":{"family":"A"}"#),
            add("Patient.name[0]", "given", r#""valueString":"B""#),
            replace("Patient.name.where(given = 'B').family", r#""valueString":"C""#),
            reorder("Patient.name", 0, 0),
        ],
        r#""name":[{"family":"C","given":["B"]}]"#,
    );
    check(
        "",
        &[
            add("Patient", "active", r#""valueBoolean":true"#),
            delete("Patient.active"),
        ],
        "same",
    );
    check("", &[], "same");
    check(
        "",
        &[delete("active"), delete("Patient.nmae"), delete("active")],
        "1 PATCH-019",
    );
}

#[test]
fn what_is_no_operation_is_refused_before_the_resource_is_looked_at() {
    let check = |patch: &str, expect: &str| {
        let refusal = Patch::fhirpath(patch.as_bytes()).unwrap_err();
        assert!(refusal.is_of_the_patch(), "{refusal}");
        assert_eq!(
            outcome(&version("Patient", ""), patch),
            expect,
            "{patch}: {refusal}"
        );
    };
    let check_one = |operation: String, expect: &str| check(&parameters(&[operation]), expect);
    check("[", "PATCH-001");
    check("[]", "PATCH-005");
    check(r#"{"parameter":{}}"#, "0 PATCH-010");
    for shape in [
        "7",
        "{}",
        r#"{"name":"op"}"#,
        r#"{"name":"operation"}"#,
        r#"{"name":"operation","part":[7]}"#,
        r#"{"name":"operation","part":[{"name":7}]}"#,
    ] {
        check_one(shape.to_owned(), "0 PATCH-010");
    }
    for kind in ["copy", "", "ADD"] {
        check_one(operation(kind, &[text("path", "Patient")]), "0 PATCH-011");
    }
    check_one(r#"{"name":"operation","part":[]}"#.to_owned(), "0 PATCH-011");
    let path = text("path", "Patient.name");
    let value = part("value", r#""valueString":"x""#);
    let without = |kind: &str, parts: &[&String]| {
        let parts: Vec<String> = parts.iter().map(|part| (*part).clone()).collect();
        check_one(operation(kind, &parts), "0 PATCH-012");
    };
    without("add", &[&path, &value]);
    without("replace", &[&path]);
    without("insert", &[&path, &value]);
    without("move", &[&path, &number("source", 0)]);
    without("delete", &[&value]);
    for position in [
        r#""valueInteger":-1"#,
        r#""valueDecimal":1.0"#,
        r#""valueString":"1""#,
        r#""valueInteger":1,"valueCode":"x""#,
        r#""valueInteger":99999999999999999999999"#,
        r#""valueInteger":1e0"#,
    ] {
        without("insert", &[&path, &part("index", position), &value]);
    }
    for bad in [
        r#""valueInteger":7"#,
        r#""valueString":"""#,
        r#""valueString":null"#,
        r#""valueHumanName":{}"#,
    ] {
        without("delete", &[&part("path", bad)]);
    }
    check_one(operation("delete", &[path.clone(), path.clone()]), "0 PATCH-013");
    check_one(operation("delete", &[path.clone(), value.clone()]), "0 PATCH-013");
    check_one(
        operation("delete", &[path.clone(), text("note", "x")]),
        "0 PATCH-013",
    );
    for bad in [
        "Patient.",
        "name.given.join(' ')",
        "Patient.link.other.resolve()",
        "name | contact",
        "name.count()",
    ] {
        check_one(delete(bad), "0 PATCH-015");
    }
}

#[test]
fn a_value_that_is_none_is_refused() {
    for value in [
        r#""valueString":null"#,
        r#""valueString":["x"]"#,
        r#""valueString":{}"#,
        r#""valueHumanName":"x""#,
        r#""valueNothing":"x""#,
        r#""value":"x""#,
        r#""valueString":"x","valueCode":"x""#,
        r#""valueString":"x","_valueCode":{"id":"x"}"#,
        r#""_valueHumanName":{"id":"x"}"#,
        r#""part":[]"#,
        r#""part":{}"#,
        r#""part":[{"valueString":"x"}]"#,
        r#""part":[{"name":"use"}]"#,
        r#""resource":7"#,
        r#""valueString":"x","part":[{"name":"use","valueCode":"x"}]"#,
        r#""modifierExtension":[]"#,
    ] {
        check_one("", add("Patient", "name", value), "0 PATCH-014");
    }
}

#[test]
fn a_refusal_says_which_and_what_and_no_value_of_the_resource() {
    let message = |rest: &str, operations: &[String]| {
        let patch = Patch::fhirpath(parameters(operations).as_bytes());
        patch
            .and_then(|patch| patch.apply(&version("Patient", rest)))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message("", &[delete("Patient.active"), delete("Patient.name.famly")]),
        "operation 1: `famly` is no element of HumanName; did you mean `family` [PATCH-019]"
    );
    assert_eq!(
        message("", &[delete("Patient.deceasedBoolean")]),
        "operation 0: `deceasedBoolean` is how JSON spells it; a path has `deceased.ofType(boolean)`, and what is added is named `deceased` [PATCH-020]"
    );
    assert_eq!(
        message("", &[delete("name.children()")]),
        "operation 0: the path cannot be followed: at character 6, `children()` is not supported; a path has names of elements, `[n]`, `first()`, `last()`, `single()`, `where(…)`, `ofType(…)` and `extension(…)` [PATCH-015]"
    );
    let secret = r#""name":[{"family":"Secret"},{"family":"Secret"}]"#;
    for operation in [
        delete("name.where(family = 'Secret')"),
        replace("name[0].family[1]", r#""valueString":"Secret""#),
        add("name[0]", "family", r#""valueString":"Secret""#),
        add("name[0]", "x y", r#""valueString":"Secret""#),
    ] {
        let text = message(secret, &[operation]);
        assert!(!text.contains("Secret") && text.contains("[PATCH-0"), "{text}");
    }
    let long = "x".repeat(1_000_000);
    assert!(message("", &[delete(&long)]).len() < 200);
    assert!(message("", &[add("Patient", &long, r#""valueString":"x""#)]).len() < 200);
}

#[test]
fn a_patch_has_bounds() {
    let adds = vec![add("Patient", "name", r#""valueHumanName":{"text":"x"}"#); 1001];
    assert_eq!(outcome(&version("Patient", ""), &parameters(&adds)), "PATCH-004");
    let made = outcome(&version("Patient", ""), &parameters(&adds[..1000]));
    assert_eq!(made.matches("text").count(), 1000);
    // Parts within parts end where JSON may nest no deeper.
    let mut deep = r#""valueUri":"urn:x""#.to_owned();
    for _ in 0..28 {
        deep = format!(r#""part":[{{"name":"extension",{deep}}}]"#);
    }
    check_one("", add("Patient", "extension", &deep), "0 PATCH-024");
    let nested = format!("{}{}", "[".repeat(50), "]".repeat(50));
    let value = format!(r#""valueHumanName":{{"x":{nested}}}"#);
    let deeper: Vec<String> = (0..8)
        .map(|level| {
            add(
                &format!("Patient{}", ".extension[0]".repeat(level)),
                "extension",
                r#""part":[{"name":"url","valueUri":"u"}]"#,
            )
        })
        .chain([replace(
            &format!("Patient{}.url", ".extension[0]".repeat(8)),
            r#""valueUri":"v""#,
        )])
        .chain([add(
            &format!("Patient{}", ".extension[0]".repeat(8)),
            "value",
            &value,
        )])
        .collect();
    check("", &deeper, "9 PATCH-026");
}

#[test]
fn conditions_within_conditions_end_at_a_depth_that_a_thread_can_bear() {
    let within = |depth: usize, form: fn(&str) -> String| {
        let nested = (0..depth).fold("use = 'usual'".to_owned(), |inner, _| form(&inner));
        outcome(
            &version("Patient", NAMES),
            &parameters(&[delete(&format!("name.where({nested})"))]),
        )
    };
    let forms: [fn(&str) -> String; 4] = [
        |inner| format!("$this.where({inner})"),
        |inner| format!("exists({inner})"),
        |inner| format!("({inner}).not().not()"),
        |inner| format!("(true and {inner})"),
    ];
    for form in forms {
        let found = within(60, form);
        assert_eq!(found, r#""name":[{"use":"official","family":"C"}]"#);
        // What the parser takes is borne, and what it does not take is refused.
        for depth in [90, 180, 190, 250, 5_000] {
            let found = within(depth, form);
            assert!(found.starts_with("\"name\"") || found == "0 PATCH-015", "{found}");
        }
    }
}

#[test]
fn a_patch_that_searches_without_end_is_stopped() {
    let names = vec![r#"{"family":"Ash","given":["A","B","C"]}"#; 6_000].join(",");
    let version = version("Patient", &format!(r#""name":[{names}]"#));
    let conditions = vec!["given.where($this = 'A').exists()"; 30].join(" and ");
    for path in [
        "name.where(family = 'none')".to_owned(),
        format!("name.where({conditions} and family = 'none')"),
        "name.where($this = $this and family = 'none')".to_owned(),
        format!("name.where(family = '{}')", "x".repeat(10_000)),
    ] {
        let found = outcome(&version, &parameters(&vec![delete(&path); 1000]));
        assert!(found.ends_with("PATCH-027"), "{found}");
    }
    let steps = ".extension.value.unit".to_owned() + &".extension.value".repeat(90);
    let found = outcome(
        &version,
        &parameters(&vec![delete(&format!("Patient{steps}")); 1000]),
    );
    assert_eq!(found.split_once(' ').unwrap().1, "PATCH-027");
    let inserts = vec![insert("name", 0, r#""valueHumanName":{"family":"Birch"}"#); 1000];
    assert!(outcome(&version, &parameters(&inserts)).starts_with(r#""name":[{"family":"Birch"}"#));
}
