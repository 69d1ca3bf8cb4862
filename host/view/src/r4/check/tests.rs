//! What R4 takes and what it does not, and that the pass and the walk are of one mind.

use super::*;

mod generated;

/// What is said of a resource: `accepted`, a code of the grammar, or codes with places.
fn judged(text: &str) -> String {
    let (pass, walk) = both(text.as_bytes());
    let verdict = match check_resource(text.as_bytes(), Limits::default(), &["ViewDefinition"]) {
        Ok(()) => "accepted".to_owned(),
        Err(Unfit::Json(error)) => error.code().to_owned(),
        Err(Unfit::R4(issues)) => {
            let lines = issues
                .iter()
                .map(|issue| format!("{} {}", issue.fault.code(), issue.expression));
            lines.collect::<Vec<_>>().join(", ")
        }
    };
    assert!(!pass || verdict == "accepted", "the pass took {text}: {verdict}");
    assert_eq!(walk, verdict, "{text}");
    verdict
}

/// What the pass says of a text, and what the longer way does.
fn both(text: &[u8]) -> (bool, String) {
    let Some(shape) = resource_type(text).and_then(|name| shape::shapes().resource(&name)) else {
        let grammar = json::check_resource(text, Limits::default());
        return (
            false,
            grammar.map_or_else(|error| error.code().to_owned(), |()| "accepted".to_owned()),
        );
    };
    let pass = pass::is_good(text, shape, Limits::default());
    if let Err(error) = json::check_resource(text, Limits::default()) {
        return (pass, error.code().to_owned());
    }
    let issues = walk::issues(text, shape, &["ViewDefinition"]);
    let lines = issues
        .iter()
        .map(|issue| format!("{} {}", issue.fault.code(), issue.expression));
    let lines: Vec<_> = lines.collect();
    (
        pass,
        if lines.is_empty() {
            "accepted".to_owned()
        } else {
            lines.join(", ")
        },
    )
}

/// Cases of a resource's members beside its type.
fn check(resource_type: &str, cases: &[(&str, &str)]) {
    for (members, expected) in cases {
        let comma = if members.is_empty() { "" } else { "," };
        let text = format!(r#"{{"resourceType":"{resource_type}"{comma}{members}}}"#);
        assert_eq!(judged(&text), *expected, "{text}");
    }
}

#[test]
fn a_patient_as_servers_hold_it_is_accepted_by_the_pass_alone() {
    let text = r#" { "resourceType" : "Patient", "id":"p-1","meta":{"versionId":"1","lastUpdated":"2024-03-01T10:20:30.123Z",
        "profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1"]},
        "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">\n\u00e9</div>"},
        "contained":[{"resourceType":"Organization","id":"o","name":"x"}],
        "extension":[{"url":"http://x","extension":[{"url":"y","valueCoding":{"code":"a"}}]},{"url":"z","valueDecimal":-1.50e3}],
        "active":true,"name":[{"use":"official","family":"É","given":["A","B"]}],"gender":"female",
        "birthDate":"1970-06","_birthDate":{"extension":[{"url":"u","valueDateTime":"1970-06-01T10:00:00+02:00"}]},
        "deceasedBoolean":false,"multipleBirthInteger":2,"photo":[{"data":"YWJj"}],
        "contact":[{"relationship":[{"text":"mother"}]}],"managingOrganization":{"reference":"Organization/1"}}
        "#;
    assert_eq!(judged(text), "accepted");
    assert!(both(text.as_bytes()).0);
}

#[test]
fn the_sample_data_is_accepted_by_the_pass_alone() {
    let generator = lakefeed_sample_data::Generator::new(3);
    let resources = generator
        .patients(200)
        .chain(generator.encounters(100, 50))
        .chain(generator.observations(200, 50));
    for resource in resources {
        for text in [resource.to_string(), format!("{resource:#}")] {
            assert_eq!(both(text.as_bytes()), (true, "accepted".to_owned()), "{text}");
        }
    }
}

#[test]
fn escapes_that_need_not_be_are_read_by_the_pass_too() {
    let text = r#"{"resourceType":"Patient","implicitRules":"http:\/\/x","birthDate":"1970\u002d06","photo":[{"data":"YWJj\r\nYWJj",
        "creation":"2024-01-01T10:00:00\u002B01:00"}]}"#;
    assert!(both(text.as_bytes()).0);
    for (wrong, place) in [
        (r"http:\/\/x\u0020", "implicitRules"),
        (r"\ud83d", "implicitRules"),
    ] {
        assert!(!both(text.replace(r"http:\/\/x", wrong).as_bytes()).0, "{place}");
    }
}

#[test]
fn an_element_that_does_not_exist_is_named_with_its_place() {
    check(
        "Patient",
        &[
            (r#""nme":[]"#, "R4-001 Patient.nme"),
            (
                r#""name":[{"given":["a"]},{"first":"a"}]"#,
                "R4-001 Patient.name[1].first",
            ),
            (
                r#""name":[{"resourceType":"HumanName"}]"#,
                "R4-001 Patient.name[0].resourceType",
            ),
            (r#""fhir_comments":["x"]"#, "R4-001 Patient.fhir_comments"),
            (r#""_name":[{"id":"x"}]"#, "R4-001 Patient._name"),
            (r#""Jane Doe":{}"#, "R4-001 Patient.?"),
            (
                r#""extension":[{"url":"x","_url":{"id":"a"}}]"#,
                "R4-001 Patient.extension[0]._url",
            ),
            (
                r#""contained":[{"resourceType":"Basic","code":{},"a":1}]"#,
                "R4-007 Patient.contained[0].code, R4-001 Patient.contained[0].a",
            ),
        ],
    );
    check(
        "Observation",
        &[
            (
                r#""status":"final","code":{"text":"x"},"value":1"#,
                "R4-001 Observation.value",
            ),
            (
                r#""status":"final","code":{"text":"x"},"valueAddress":{}"#,
                "R4-001 Observation.valueAddress",
            ),
        ],
    );
}

#[test]
fn an_element_that_must_be_there_is_missed() {
    check(
        "Observation",
        &[
            ("", "R4-002 Observation.code, R4-002 Observation.status"),
            (
                r#""_status":{"extension":[{"url":"x","valueCode":"y"}]},"code":{"text":"x"}"#,
                "accepted",
            ),
            (
                r#""status":"final","code":{"text":"x"},"component":[{"valueInteger":1}]"#,
                "R4-002 Observation.component[0].code",
            ),
        ],
    );
    check(
        "Patient",
        &[(
            r#""extension":[{"valueCode":"x"}]"#,
            "R4-002 Patient.extension[0].url",
        )],
    );
    check(
        "Bundle",
        &[(
            r#""type":"collection","entry":[{"resource":{"resourceType":"Observation","status":"final"}}]"#,
            "R4-002 Bundle.entry[0].resource.code",
        )],
    );
    check(
        "MedicationRequest",
        &[(
            r#""status":"active","intent":"order","subject":{"reference":"Patient/1"}"#,
            "R4-002 MedicationRequest.medication",
        )],
    );
}

#[test]
fn an_array_stands_where_an_element_repeats_and_nowhere_else() {
    check(
        "Patient",
        &[
            (r#""birthDate":["1970"]"#, "R4-003 Patient.birthDate"),
            (r#""name":{"family":"x"}"#, "R4-004 Patient.name"),
            (r#""name":[{"given":"x"}]"#, "R4-004 Patient.name[0].given"),
            (r#""name":[[{"family":"x"}]]"#, "R4-003 Patient.name[0]"),
            (r#""_birthDate":[{"id":"x"}]"#, "R4-003 Patient.birthDate"),
        ],
    );
}

#[test]
fn a_value_is_of_its_sort_and_form() {
    check(
        "Patient",
        &[
            (r#""birthDate":1970"#, "R4-005 Patient.birthDate"),
            (r#""birthDate":"01.06.1970""#, "R4-006 Patient.birthDate"),
            (r#""birthDate":"1970\u002d06""#, "accepted"),
            (r#""active":"true""#, "R4-005 Patient.active"),
            (
                r#""multipleBirthInteger":1.0"#,
                "R4-006 Patient.multipleBirth.ofType(integer)",
            ),
            (
                r#""multipleBirthInteger":-0"#,
                "R4-006 Patient.multipleBirth.ofType(integer)",
            ),
            (r#""name":["x"]"#, "R4-005 Patient.name[0]"),
            (r#""maritalStatus":true"#, "R4-005 Patient.maritalStatus"),
            (r#""id":"a_b""#, "R4-006 Patient.id"),
            (r#""gender":" male""#, "R4-006 Patient.gender"),
            (
                r#""name":[{"family":"a\u0001"}]"#,
                "R4-006 Patient.name[0].family",
            ),
            (r#""name":[{"family":"a\u0009\n\u00e9"}]"#, "accepted"),
            (r#""implicitRules":"http:\/\/x""#, "accepted"),
            (r#""contained":["x"]"#, "R4-005 Patient.contained[0]"),
        ],
    );
    let quantity = |value: &str| {
        format!(r#""status":"final","code":{{"text":"x"}},"valueQuantity":{{"value":{value}}}"#)
    };
    let place = "Observation.value.ofType(Quantity).value";
    for (value, expected) in [("1", "accepted"), ("-1.50E+10", "accepted"), ("0.1", "accepted")] {
        check("Observation", &[(&quantity(value), expected)]);
    }
    check("Observation", &[(&quantity("\"1\""), &format!("R4-005 {place}"))]);
}

#[test]
fn nothing_is_empty_and_a_null_has_its_reason() {
    check(
        "Patient",
        &[
            ("", "accepted"),
            (r#""name":[]"#, "R4-007 Patient.name"),
            (r#""name":[{}]"#, "R4-007 Patient.name[0]"),
            (r#""name":[{"family":""}]"#, "R4-007 Patient.name[0].family"),
            (r#""_birthDate":{}"#, "R4-007 Patient.birthDate"),
            (r#""birthDate":null"#, "R4-008 Patient.birthDate"),
            (r#""name":[null]"#, "R4-008 Patient.name[0]"),
            (
                r#""name":[{"given":[null,"x"]}]"#,
                "R4-008 Patient.name[0].given[0]",
            ),
            (
                r#""name":[{"given":[null,"x"],"_given":[{"id":"a"},null]}]"#,
                "accepted",
            ),
            (
                r#""name":[{"given":[null,"x"],"_given":[null,{"id":"a"}]}]"#,
                "R4-008 Patient.name[0].given[0]",
            ),
            (
                r#""name":[{"given":["x"],"_given":[null,{"id":"a"}]}]"#,
                "accepted",
            ),
            (
                r#""name":[{"_given":[null,{"id":"a"}]}]"#,
                "R4-008 Patient.name[0].given[0]",
            ),
            (r#""name":[{"_given":[{"id":"a"}]}]"#, "accepted"),
        ],
    );
}

#[test]
fn a_million_nulls_are_matched_without_comparing_each_with_each() {
    let names = |given: &str, shadow: &str| {
        format!(
            r#""name":[{{"given":[{}"x"],"_given":[{}null]}}]"#,
            given.repeat(500_000),
            shadow.repeat(500_000)
        )
    };
    check(
        "Patient",
        &[(&names(r#"null,"x","#, r#"{"id":"x"},null,"#), "accepted")],
    );
    let first = judged(&format!(
        r#"{{"resourceType":"Patient",{}}}"#,
        names("null,null,", "null,null,")
    ));
    assert!(
        first.starts_with("R4-008 Patient.name[0].given[0], R4-008 Patient.name[0].given[1]"),
        "{first}"
    );
}

#[test]
fn a_choice_has_one_type() {
    check(
        "Patient",
        &[
            (
                r#""deceasedBoolean":true,"deceasedDateTime":"2020""#,
                "R4-009 Patient.deceased",
            ),
            (
                r#""deceasedBoolean":true,"_deceasedDateTime":{"id":"x"}"#,
                "R4-009 Patient.deceased",
            ),
            (
                r#""deceasedBoolean":true,"_deceasedBoolean":{"id":"x"}"#,
                "accepted",
            ),
        ],
    );
}

#[test]
fn resources_inside_are_checked_by_their_own_type_wherever_they_say_it() {
    let bundle = |resource: &str| format!(r#""type":"collection","entry":[{{"resource":{resource}}}]"#);
    let place = "Bundle.entry[0].resource";
    for (resource, expected) in [
        (
            r#"{"active":true,"resourceType":"Patient"}"#,
            "accepted".to_owned(),
        ),
        (
            r#"{"active":1,"resourceType":"Patient"}"#,
            format!("R4-005 {place}.active"),
        ),
        (r#"{"active":true}"#, format!("R4-010 {place}")),
        (r#"{"resourceType":1}"#, format!("R4-010 {place}")),
        (r#"{"resourceType":"Patiend"}"#, format!("R4-011 {place}")),
        (r#"{"resourceType":"DomainResource"}"#, format!("R4-011 {place}")),
        (
            r#"{"resourceType":"ViewDefinition","what":[{},null]}"#,
            "accepted".to_owned(),
        ),
        (
            r#"{"resourceType":"Bundle","type":"x","entry":[{"resource":{"resourceType":"Patient","a":1}}]}"#,
            format!("R4-001 {place}.entry[0].resource.a"),
        ),
    ] {
        check("Bundle", &[(&bundle(resource), &expected)]);
    }
    check(
        "Parameters",
        &[(
            r#""parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Patient","id":"ü"}}]}]"#,
            "R4-006 Parameters.parameter[0].part[0].resource.id",
        )],
    );
}

#[test]
fn a_type_that_is_said_with_escapes_is_that_type() {
    for (text, expected) in [
        (r#"{"resource\u0054ype":"Patient","active":true}"#, "accepted"),
        (r#"{"resource\u0054ype":"Patient","nme":1}"#, "R4-001 Patient.nme"),
        (r#"{"nme":1,"resourceType":"P\u0061tient"}"#, "R4-001 Patient.nme"),
        (
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"nme":1,"resource\u0054ype":"P\u0061tient"}}]}"#,
            "R4-001 Bundle.entry[0].resource.nme",
        ),
    ] {
        assert_eq!(judged(text), expected, "{text}");
    }
}

#[test]
fn parts_that_refer_to_others_nest() {
    check(
        "Questionnaire",
        &[(
            r#""status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2","type":"group","item":[{"linkId":"3"}]}]}]"#,
            "R4-002 Questionnaire.item[0].item[0].item[0].type",
        )],
    );
}

#[test]
fn what_is_no_resource_of_r4_is_judged_by_its_grammar_alone() {
    for (text, expected) in [
        (r#"{"resourceType":"ViewDefinition","x":{}}"#, "accepted"),
        (r#"{"a":{}}"#, "accepted"),
        ("{", "JSON-002"),
        ("[]", "JSON-012"),
        (
            r#"{"resourceType":"Patient","active":true,"active":true}"#,
            "JSON-004",
        ),
        (
            r#"{"resourceType":"Patient","name":[{"family":"\u0000"}]}"#,
            "JSON-007",
        ),
        (r#"{"resourceType":"Patient"} x"#, "JSON-011"),
        (
            r#"{"resourceType":"Observation","status":"final","code":{},"valueQuantity":{"value":1e999999}}"#,
            "JSON-013",
        ),
        (
            r#"{"resourceType":"Observation","status":"final","code":{},"valueQuantity":{"value":1e-99999}}"#,
            "JSON-013",
        ),
    ] {
        assert_eq!(judged(text), expected, "{text}");
    }
    let deep = |levels: usize| {
        let open = r#"{"url":"x","extension":["#.repeat(levels);
        format!(
            r#"{{"resourceType":"Patient","extension":[{open}{{"url":"x","valueCode":"y"}}{}]}}"#,
            "]}".repeat(levels)
        )
    };
    assert_eq!(judged(&deep(30)), "accepted");
    assert_eq!(judged(&deep(31)), "JSON-005");
    let invalid = check_resource(
        b"{\"resourceType\":\"Patient\",\"id\":\"\xff\"}",
        Limits::default(),
        &[],
    );
    assert!(matches!(invalid, Err(Unfit::Json(error)) if error.code() == "JSON-001"));
}

#[test]
fn no_more_than_twenty_issues_are_listed_and_none_shows_a_value() {
    let names =
        r#"{"family":"Secret","given":"Secret","x":"Secret","period":{"start":"Secret"}},"#.repeat(20);
    let text = format!(r#"{{"resourceType":"Patient","name":[{}{{}}]}}"#, names);
    let Err(Unfit::R4(issues)) = check_resource(text.as_bytes(), Limits::default(), &[]) else {
        panic!("accepted")
    };
    assert_eq!(issues.len(), MAX_ISSUES);
    for issue in issues {
        assert!(!issue.to_string().contains("Secret"), "{issue}");
    }
}

#[test]
fn an_issue_says_what_is_wrong_and_what_to_write() {
    let first = |members: &str| {
        let text = format!(r#"{{"resourceType":"Patient",{members}}}"#);
        match check_resource(text.as_bytes(), Limits::default(), &[]) {
            Err(Unfit::R4(issues)) => issues[0].to_string(),
            other => format!("{other:?}"),
        }
    };
    for (members, expected) in [
        (
            r#""adress":[]"#,
            "`Patient.adress`: `Patient` has no such element, did you mean `address` [R4-001]",
        ),
        (
            r#""deceased":true"#,
            "`Patient.deceased`: `Patient` has no such element: its name says its type, write `deceasedBoolean` or `deceasedDateTime` [R4-001]",
        ),
        (
            r#""deceasedString":"x""#,
            "`Patient.deceasedString`: `Patient` has no such element: `deceased[x]` is never of the type `String` here [R4-001]",
        ),
        (
            r#""_name":[{}]"#,
            "`Patient._name`: `Patient` has no such element: nothing can hang on `name`, which is no primitive or cannot be extended [R4-001]",
        ),
        (
            r#""birthDate":"1.6.1970""#,
            "`Patient.birthDate`: not a FHIR date: write YYYY, YYYY-MM or YYYY-MM-DD, a day that the calendar has [R4-006]",
        ),
        (
            r#""active":"yes""#,
            "`Patient.active`: a string stands where `boolean` is wanted: write true or false, without quotes [R4-005]",
        ),
        (
            r#""name":{}"#,
            "`Patient.name`: may repeat: write an array, also of one [R4-004]",
        ),
        (
            r#""contained":[{"resourceType":"Patiend"}]"#,
            "`Patient.contained[0]`: there is no such resource type, did you mean `Patient` [R4-011]",
        ),
    ] {
        assert_eq!(first(members), expected);
    }
}
