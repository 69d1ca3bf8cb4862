//! What is refused, and where, and what is taken.

use super::*;

fn refused(text: impl AsRef<[u8]>) -> String {
    match check_value(text.as_ref(), Limits::default()) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => format!("{} {} {}", error.code(), error.offset, error.path),
    }
}

#[test]
fn json_is_accepted() {
    for text in [
        "{}",
        " [ ] ",
        "null",
        "-0.0e-10",
        "1E+5",
        r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00 é 😀""#,
        r#"{"a":{"a":{"a":[{"a":1},{"a":2}]}},"b":[[],{},"",0,true,false,null]}"#,
        "\t{\r\n\"a\" : [ 1 , 2 ] }\n",
        "\"\u{7f}\u{80}\u{ffff}\"",
    ] {
        assert_eq!(refused(text), "accepted", "{text}");
    }
}

#[test]
fn what_is_no_json_is_refused_where_it_shows() {
    for (text, expected) in [
        ("", "JSON-002 0 resource"),
        ("{", "JSON-002 1 resource"),
        (r#"{"a":[1,{"b":"x"#, "JSON-002 15 resource.a[1].b"),
        (r#"{"a":1"#, "JSON-002 6 resource.a"),
        (r#"{"a":tru"#, "JSON-002 8 resource.a"),
        (r#"{"a":-"#, "JSON-002 6 resource.a"),
        (r#"{"a":1,}"#, "JSON-003 7 resource.a"),
        (r#"{"a" 1}"#, "JSON-003 5 resource.a"),
        ("{'a':1}", "JSON-003 1 resource"),
        ("[1,]", "JSON-003 3 resource[1]"),
        ("[1 2]", "JSON-003 3 resource[0]"),
        ("[1}", "JSON-003 2 resource[0]"),
        ("[01]", "JSON-003 2 resource[0]"),
        ("[+1]", "JSON-003 1 resource[0]"),
        ("[NaN]", "JSON-003 1 resource[0]"),
        ("[nul]", "JSON-003 1 resource[0]"),
        ("[1.]", "JSON-010 3 resource[0]"),
        ("[-a]", "JSON-010 2 resource[0]"),
        ("[1e+]", "JSON-010 4 resource[0]"),
        ("\u{feff}{}", "JSON-003 0 resource"),
        ("{} {}", "JSON-011 3 resource"),
        ("1 x", "JSON-011 2 resource"),
        ("[\"\t\"]", "JSON-006 2 resource[0]"),
        ("[\"\0\"]", "JSON-007 2 resource[0]"),
        (r#"["\u0000"]"#, "JSON-007 2 resource[0]"),
        (r#"{"\u0000":1}"#, "JSON-007 2 resource"),
        (r#"["\ud83d"]"#, "JSON-008 2 resource[0]"),
        (r#"["\ude00\ud83d"]"#, "JSON-008 2 resource[0]"),
        (r#"["\x"]"#, "JSON-009 2 resource[0]"),
        (r#"["\u12g4"]"#, "JSON-009 2 resource[0]"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn a_number_that_postgresql_cannot_show_is_refused() {
    let nines = |count: usize| "9".repeat(count);
    for fits in [
        "1e131071".to_owned(),
        "1E+000131071".to_owned(),
        "1e-16383".to_owned(),
        nines(131_072),
        format!("0.{}", nines(16_383)),
    ] {
        assert_eq!(check_value(fits.as_bytes(), Limits::default()), Ok(()));
    }
    for too_long in [
        "1e999999".to_owned(),
        "-10e131071".to_owned(),
        "1e-16384".to_owned(),
        "1.5e-16383".to_owned(),
        "1e99999999999999999999999999".to_owned(),
        nines(131_073),
    ] {
        let text = format!(r#"{{"a":{too_long}}}"#);
        assert!(refused(&text).starts_with("JSON-013"), "{}", too_long.len());
    }
}

#[test]
fn the_path_begins_with_the_resource_type_and_shows_no_value() {
    let text = r#"{"resourceType":"Patient","name":[{},{"given":["a",]}]}"#;
    assert_eq!(refused(text), "JSON-003 51 Patient.name[1].given[1]");
    let unknown = r#"{"resourceType":"Jane Doe","Jane Doe":[1 2]}"#;
    assert_eq!(refused(unknown), "JSON-003 41 resource.?[0]");
}

#[test]
fn an_error_names_line_and_column() {
    let text = "{\n  \"é\": 1,\n  \"ü\": x\n}";
    let error = check_resource(text.as_bytes(), Limits::default()).unwrap_err();
    assert_eq!((error.line, error.column), (3, 8));
    assert_eq!(
        error.to_string(),
        "`resource.?`: expected a value, at line 3 column 8 (byte 21) [JSON-003]"
    );
}

#[test]
fn a_resource_is_an_object() {
    for text in ["[]", "  \"Patient\"", "1", "true", "null"] {
        let error = check_resource(text.as_bytes(), Limits::default()).unwrap_err();
        assert_eq!(error.code(), "JSON-012", "{text}");
    }
    assert_eq!(check_resource(b" {} ", Limits::default()), Ok(()));
}

#[test]
fn bytes_that_are_not_utf8_are_refused_at_the_first_of_them() {
    assert_eq!(refused(b"{\"a\":\"x\xff\"}"), "JSON-001 7 resource.a");
    assert_eq!(refused(b"{\"a\":\xc3\x28}"), "JSON-001 5 resource.a");
    assert_eq!(refused(b"{} \xff"), "JSON-001 3 resource");
    // What is wrong before them comes first.
    assert_eq!(refused(b"[1 2,\"\xff\"]"), "JSON-003 3 resource[0]");
    // UTF-16 surrogates written as UTF-8.
    assert_eq!(refused(b"\"\xed\xa0\x80\""), "JSON-001 1 resource");
}

#[test]
fn a_key_may_stand_once_in_an_object_however_it_is_escaped() {
    assert_eq!(refused(r#"{"a":1,"b":{"a":1},"a":2}"#), "JSON-004 19 resource.a");
    assert_eq!(refused(r#"{"id":1,"\u0069d":2}"#), "JSON-004 8 resource.id");
    assert_eq!(refused(r#"[{"a":1},{"a":1}]"#), "accepted");
    assert_eq!(refused(r#"{"a":{"a":1},"A":2,"":3}"#), "accepted");
}

#[test]
fn a_key_is_found_twice_in_a_large_object_too() {
    let members = |count: usize| {
        (0..count)
            .map(|n| format!("\"key{n}\":{{\"x\":{n}}}"))
            .collect::<Vec<_>>()
    };
    for count in [31, 32, 33, 34, 1000] {
        for place in [0, count / 2, count - 1] {
            let mut all = members(count);
            assert_eq!(refused(format!("{{{}}}", all.join(","))), "accepted");
            all.push(format!("\"key{place}\":0"));
            let text = format!("{{\"outer\":[{{{}}}]}}", all.join(","));
            let offset = text.rfind(",\"key").unwrap() + 1;
            assert_eq!(
                refused(&text),
                format!("JSON-004 {offset} resource.outer[0].key{place}"),
                "{count}"
            );
        }
    }
}

#[test]
fn a_million_keys_are_checked_without_comparing_each_with_each() {
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"same{n:09}same\":0")).collect();
    assert_eq!(refused(format!("{{{}}}", keys.join(","))), "accepted");
}

#[test]
fn nesting_stops_at_the_limit() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(refused(nested(64)), "accepted");
    assert!(refused(nested(65)).starts_with("JSON-005 64 "));
    assert!(refused("{\"a\":".repeat(100_000)).starts_with("JSON-005 "));
    assert!(check_value(nested(3).as_bytes(), Limits { max_depth: 2 }).is_err());
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<'a>(&mut self, any_of: &[&'a str]) -> &'a str {
        any_of[self.below(any_of.len())]
    }
}

const PIECES: [&str; 16] = [
    "a",
    "id",
    "value",
    "\\n",
    "\\u00e9",
    "\\ud83d\\ude00",
    "é",
    "😀",
    "\\\\",
    "\\\"",
    " ",
    "/",
    "0",
    "~",
    "\u{7f}",
    "\\/",
];
const SPACES: [&str; 5] = ["", "", "", " ", "\n\t\r "];
const SCALARS: [&str; 10] = [
    "0",
    "-1",
    "12.50",
    "1e5",
    "-0.1E-3",
    "true",
    "false",
    "null",
    "\"\"",
    "123456789012345678",
];

fn random_string(numbers: &mut Numbers) -> String {
    let pieces: String = (0..numbers.below(6)).map(|_| numbers.pick(&PIECES)).collect();
    format!("\"{pieces}\"")
}

fn random_value(numbers: &mut Numbers, depth: usize) -> String {
    let space = |numbers: &mut Numbers| numbers.pick(&SPACES);
    let children = numbers.below(5);
    let kind = if depth == 0 {
        numbers.below(2)
    } else {
        numbers.below(5)
    };
    match kind {
        0 => numbers.pick(&SCALARS).to_owned(),
        1 => random_string(numbers),
        2 => {
            let values: Vec<String> = (0..children).map(|_| random_value(numbers, depth - 1)).collect();
            format!("[{}{}{}]", space(numbers), values.join(" ,"), space(numbers))
        }
        _ => {
            let mut member = |place| {
                let (key, value) = (random_string(numbers), random_value(numbers, depth - 1));
                format!(
                    "\"{place}{}{}:{}{value}",
                    &key[1..],
                    space(numbers),
                    space(numbers)
                )
            };
            let members: Vec<String> = (0..children).map(&mut member).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn mutated(numbers: &mut Numbers, text: &str) -> Vec<u8> {
    const BYTES: &[u8] = b"\"\\{}[],:0123456789.eE+-truefalsn u/\x00\x1f\x80\xff\xc3\xed\xa0";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(2) {
        let place = numbers.below(bytes.len() + 1);
        match numbers.below(4) {
            0 => bytes.insert(place, BYTES[numbers.below(BYTES.len())]),
            1 if place < bytes.len() => bytes[place] = BYTES[numbers.below(BYTES.len())],
            2 if place < bytes.len() => drop(bytes.remove(place)),
            _ => {
                let end = numbers.below(bytes.len() + 1);
                let part = bytes[place.min(end)..place.max(end)].to_vec();
                bytes.splice(place..place, part.into_iter().take(8));
            }
        }
    }
    bytes
}

/// Whether another reader agrees, where it judges the same things.
fn assert_agreement(bytes: &[u8]) {
    let ours = check_value(bytes, Limits::default());
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    // A number too large for a double ends its reading early and says nothing on the rest.
    let no_verdict = matches!(&theirs, Err(error) if error.to_string().contains("out of range"));
    let stricter =
        matches!(&ours, Err(error) if matches!(error.code(), "JSON-004" | "JSON-005" | "JSON-007"));
    assert!(
        no_verdict || stricter || ours.is_ok() == theirs.is_ok(),
        "{ours:?} {:?}",
        String::from_utf8_lossy(bytes)
    );
    if let Err(error) = ours {
        assert!(error.offset <= bytes.len());
    }
}

#[test]
fn generated_json_is_accepted_and_mutated_json_judged_as_another_reader_does() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for _ in 0..4000 {
        let text = random_value(&mut numbers, 5);
        assert_eq!(refused(&text), "accepted", "{text}");
        assert_agreement(text.as_bytes());
        for _ in 0..10 {
            assert_agreement(&mutated(&mut numbers, &text));
        }
    }
}

#[test]
fn members_are_found_as_another_reader_finds_them() {
    let mut numbers = Numbers(7);
    for _ in 0..2000 {
        let text = random_value(&mut numbers, 4);
        if let Ok(serde_json::Value::Object(expected)) = serde_json::from_str(&text) {
            let found: Vec<_> = top_level_members(text.as_bytes()).collect();
            let keys: Vec<_> = found.iter().map(|member| member.key().into_owned()).collect();
            assert_eq!(keys, expected.keys().cloned().collect::<Vec<_>>(), "{text}");
            for member in found {
                let value: serde_json::Value = serde_json::from_slice(member.value).unwrap();
                assert_eq!(&value, &expected[&*member.key()]);
            }
        }
        // Whatever the bytes are, listing members ends.
        top_level_members(&mutated(&mut numbers, &text)).for_each(drop);
    }
}

#[test]
fn every_prefix_of_a_resource_is_refused_as_cut_off() {
    let text = r#"{"resourceType":"Patient","name":[{"given":["\ud83d\ude00",true,-1.5e3]}]}"#;
    for end in 0..text.len() {
        let error = check_resource(&text.as_bytes()[..end], Limits::default()).unwrap_err();
        assert_eq!(error.code(), "JSON-002", "{}", &text[..end]);
    }
}
