//! Rows that are too much, too long or too old: what can be written is, the rest is set aside alone and says why.

use lakefeed_tests::Host;
use serde_json::{Value, json};

use super::place::{FAMILY, Mode, Place, TABLE, in_both_modes, patient, put};

in_both_modes!(
    more_than_a_request_or_a_statement_takes_is_cut_between_changes,
    one_row_with_a_string_of_eleven_megabytes_harms_nobody_else,
    one_row_of_the_year_0_is_set_aside_and_says_why,
    what_looks_like_sql_or_json_arrives_as_it_was_written,
);

/// A patient whose family name has so many letters.
fn long(id: &str, letters: usize) -> Value {
    let mut body = patient(id);
    body["name"][0]["family"] = "x".repeat(letters).into();
    body
}

fn lengths(place: &Place) -> String {
    place.emulator.rows(&format!(
        "SELECT id, length(family_name), is_deleted FROM {TABLE} ORDER BY id"
    ))
}

fn dead_letter_count(host: &Host) -> f64 {
    host.status("patients")["deadLetters"].as_f64().unwrap()
}

fn more_than_a_request_or_a_statement_takes_is_cut_between_changes(mode: Mode) {
    let place = Place::with(mode, &[("sendIntervalMs", json!(3_000))]);
    let host = place.start();
    let letters = 1_000_000;
    for number in 0..40 {
        put(&host, &long(&format!("p-{number:02}"), letters));
    }
    host.wait_until_delivered("patients");
    let expected: Vec<String> = (0..40)
        .map(|number| format!("p-{number:02} | {letters} | 0"))
        .collect();
    assert_eq!(lengths(&place), expected.join("\n"));
    let status = host.status("patients");
    assert_eq!(dead_letter_count(&host), 0.0, "{status}");
    assert_eq!(status["possibleDuplicates"].as_f64(), Some(0.0), "{status}");
    let refused = place
        .emulator
        .requests()
        .into_iter()
        .filter(|request| request.status >= 400);
    assert_eq!(refused.collect::<Vec<_>>(), []);
}

fn one_row_with_a_string_of_eleven_megabytes_harms_nobody_else(mode: Mode) {
    let place = Place::new(mode);
    let host = place.start();
    put(&host, &patient("a"));
    put(&host, &long("b", 11_000_000));
    put(&host, &patient("c"));
    host.wait_until_delivered("patients");
    let short = FAMILY.len();
    if mode == Mode::Sql {
        // A statement takes it.
        assert_eq!(
            lengths(&place),
            format!("a | {short} | 0\nb | 11000000 | 0\nc | {short} | 0")
        );
        assert_eq!(dead_letter_count(&host), 0.0);
        // Each quote is two characters in a statement.
        let mut quoted = patient("d");
        quoted["name"][0]["family"] = "'".repeat(9_000_000).into();
        put(&host, &quoted);
        host.wait_until_delivered("patients");
    } else {
        assert_eq!(lengths(&place), format!("a | {short} | 0\nc | {short} | 0"));
    }
    assert_eq!(dead_letter_count(&host), 1.0);
    let letters = place.dead_letters(&host);
    let (code, id) = if mode == Mode::Zerobus {
        ("ZEROBUS-003", "Patient/b/")
    } else {
        ("SQLW-002", "Patient/d/")
    };
    assert!(
        letters.contains(code) && letters.contains(id) && letters.contains("takes"),
        "{}",
        letters.get(..2_000).unwrap_or(&letters)
    );
    let said = place.status_text(&host);
    assert!(said.contains(code), "$status names the reason: {said}");
    assert!(host.log().contains(code));
}

fn one_row_of_the_year_0_is_set_aside_and_says_why(mode: Mode) {
    let place = Place::new(mode);
    // By default such a date never gets in.
    let config = std::fs::read_to_string(place.site.path("lakefeed.toml")).unwrap();
    let config = config.replacen("[http]\n", "[http]\ninvalid_resources = \"report\"\n", 1);
    place.site.write("lakefeed.toml", config);
    let host = place.start();
    put(&host, &patient("a"));
    let mut old = patient("b");
    old["birthDate"] = "0000-06-01".into();
    put(&host, &old);
    put(&host, &patient("c"));
    host.wait_until_delivered("patients");
    assert_eq!(
        place
            .emulator
            .rows(&format!("SELECT id, birth_date FROM {TABLE} ORDER BY id")),
        "a | 1980-02-29\nc | 1980-02-29"
    );
    assert_eq!(dead_letter_count(&host), 1.0);
    let letters = place.dead_letters(&host);
    assert!(
        letters.contains("birth_date") && letters.contains("Patient/b/"),
        "{letters}"
    );
    let said = place.status_text(&host);
    assert!(said.contains("birth_date"), "$status names the column: {said}");
}

fn what_looks_like_sql_or_json_arrives_as_it_was_written(mode: Mode) {
    let place = Place::new(mode);
    let host = place.start();
    let texts = [
        "O'Brien",
        "'); DROP TABLE aidbox_export.fhir.patients; --",
        "back\\slash and \\n and \\' and \\",
        "line\nbreak\tand\rreturn",
        "\"}, {\"id\": \"x\"",
        "emoji 🏥 and é and ßtraße and \u{2028}",
        "${x} {{y}} :param ? %s",
        "DATE'2020-01-01'",
        "null",
    ];
    for (number, text) in texts.iter().enumerate() {
        let mut body = patient(&format!("p-{number}"));
        body["name"][0]["family"] = (*text).into();
        put(&host, &body);
    }
    host.wait_until_delivered("patients");
    place.emulator.flush();
    let rows = place
        .emulator
        .sql(&format!("SELECT family_name FROM {TABLE} ORDER BY id"));
    let read: Vec<&str> = rows.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(read, texts);
}
