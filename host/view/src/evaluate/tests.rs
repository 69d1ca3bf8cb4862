//! Expressions and what they give, as the JSON of a collection.

use crate::testing::value;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1","active":true,"gender":"female","birthDate":"1970-06-15",
    "_birthDate":{"extension":[{"url":"http://a.example/time","valueDateTime":"1970-06-15T10:00:00Z"}]},
    "_deceasedDateTime":{"extension":[{"url":"http://a.example/absent","valueCode":"unknown"}]},
    "multipleBirthInteger":2,
    "name":[{"use":"official","family":"Ärzte","given":["Anna","B\u00e9a",null],
             "_given":[null,{"id":"g2"},{"extension":[{"url":"http://a.example/x","valueString":"only"}]}]},
            {"use":"usual","family":"Berg","given":["Anna"]}],
    "telecom":[{"system":"phone","value":"1","rank":1},{"system":"email","value":"a@b.example","rank":2}],
    "contained":[{"resourceType":"Organization","id":"o","name":"Org"},{"resourceType":"Practitioner","id":"d"}],
    "managingOrganization":{"reference":"Organization/o1"},
    "extension":[{"url":"http://a.example/q","valueQuantity":{"value":1.50,"unit":"kg"}}]}"#;

fn check(path: &str, expected: &str) {
    assert_eq!(value(PATIENT, path), expected, "{path}");
}

#[test]
fn paths_flatten_and_filter() {
    check("name.given", r#"["Anna","Béa","Anna"]"#);
    check("Patient.name.family", r#"["Ärzte","Berg"]"#);
    check("name.where(use = 'usual').given", r#"["Anna"]"#);
    check("name[1].family", r#"["Berg"]"#);
    check("name.given.first() | name.given.last()", r#"["Anna"]"#);
    check("name.given.skip(1)", r#"["Béa","Anna"]"#);
    check("name.given.take(2)", r#"["Anna","Béa"]"#);
    check("name.given.tail().first()", r#"["Béa"]"#);
    check("name.given.distinct().count()", "[2]");
    check("name.given.isDistinct()", "[false]");
    check(
        "name.select(given.first() & ' ' & family)",
        r#"["Anna Ärzte","Anna Berg"]"#,
    );
    check("name.select($index)", "[0,1]");
    check("name.where($this.given.count() > 1).family", r#"["Ärzte"]"#);
    check("telecom.where(system = 'phone' and rank < 2).value", r#"["1"]"#);
    check("telecom.exists(system = 'fax')", "[false]");
    check("telecom.all(rank >= 1)", "[true]");
    check("name.given.exclude('Anna')", r#"["Béa"]"#);
    check("name.given.intersect('Anna')", r#"["Anna"]"#);
    check("'Anna' in name.given", "[true]");
    check("name.given contains 'Zoe'", "[false]");
    check("name.given.subsetOf(name.given | 'x')", "[true]");
    check(
        "name.single().family",
        "column `v` of row 0: `single()` of several values [VIEW-107]",
    );
}

#[test]
fn types_choose_among_alternatives() {
    check("multipleBirth.ofType(integer) + 1", "[3]");
    check("multipleBirth is integer", "[true]");
    check("multipleBirth as integer", "[2]");
    check("(multipleBirth as boolean).exists()", "[false]");
    check("contained.ofType(Organization).name", r#"["Org"]"#);
    check("contained.where($this is Practitioner).id", r#"["d"]"#);
    check(
        "extension('http://a.example/q').value.ofType(Quantity).value",
        "[1.50]",
    );
    check("extension.value.where($this is Quantity).exists()", "[true]");
}

#[test]
fn extensions_of_primitives_are_reached_with_or_without_a_value() {
    check(
        "birthDate.extension('http://a.example/time').value.ofType(dateTime)",
        r#"["1970-06-15T10:00:00Z"]"#,
    );
    check(
        "deceased.ofType(dateTime).extension('http://a.example/absent').value.ofType(code)",
        r#"["unknown"]"#,
    );
    check("name.given.extension.value.ofType(string)", r#"["only"]"#);
    check("name.given.id", r#"["g2"]"#);
    check("gender.extension('http://a.example/none').exists()", "[false]");
}

#[test]
fn logic_has_three_values() {
    check("{} and false", "[false]");
    check("{} and true", "[]");
    check("{} or true", "[true]");
    check("true xor {}", "[]");
    check("false implies {}", "[true]");
    check("active and deceased.ofType(boolean)", "[]");
    check("deceased.ofType(boolean).not()", "[]");
    check("name.given.first().exists().not()", "[false]");
    check("iif(active, 'yes', 'no')", r#"["yes"]"#);
    check("iif(deceased.ofType(boolean), 'yes')", "[]");
}

#[test]
fn numbers_are_exact() {
    check("0.1 + 0.2", "[0.3]");
    check("1.50 * 2", "[3.00]");
    check("7 div 2", "[3]");
    check("7 mod 2", "[1]");
    check("3 / 2", "[1.5]");
    check("1 / 0", "[]");
    check("-multipleBirth.ofType(integer)", "[-2]");
    check("1.0 = 1.00", "[true]");
    check("2.55.round(1)", "[2.6]");
    check("(-1.5).floor()", "[-2]");
    check("(-1.5).abs()", "[1.5]");
    check("1.587.lowBoundary(2)", "[1.58]");
    check("extension.value.ofType(Quantity).value > 1.4", "[true]");
}

#[test]
fn texts_are_counted_in_characters() {
    check("name.first().family.length()", "[5]");
    check("name.first().family.substring(1, 2)", r#"["rz"]"#);
    check("name.first().family.upper()", r#"["ÄRZTE"]"#);
    check("'a,b,c'.split(',').join('-')", r#"["a-b-c"]"#);
    check("'abc'.indexOf('c')", "[2]");
    check("' x '.trim() & 'y'", r#"["xy"]"#);
    check("'abc'.replace('b', 'x')", r#"["axc"]"#);
    check("'2020-01'.matches('^\\\\d{4}-\\\\d{2}$')", "[true]");
    check("'a1b22'.replaceMatches('[0-9]+', '#')", r##"["a#b#"]"##);
    check(
        "gender.startsWith('fe') and gender.endsWith('e') and gender.contains('mal')",
        "[true]",
    );
    check("'a' + 'b'", r#"["ab"]"#);
    check("'ABC' ~ 'abc'", "[true]");
    check("multipleBirth.ofType(integer).toString()", r#"["2"]"#);
    check("'12'.toInteger() + 1", "[13]");
    check("'x'.toInteger()", "[]");
    check("'1.20'.toDecimal()", "[1.20]");
    check("'no'.toBoolean()", "[false]");
    check("'x'.convertsToInteger()", "[false]");
}

#[test]
fn dates_compare_as_far_as_they_are_known() {
    check("birthDate = @1970-06-15", "[true]");
    check("birthDate < @1980", "[true]");
    check("birthDate = @1970-06", "[]");
    check("birthDate > '1970-01-01'", "[true]");
    check("@2020-01-01T10:00:00+02:00 = @2020-01-01T08:00:00Z", "[true]");
    check("birthDate.highBoundary()", r#"["1970-06-15"]"#);
    check("@T10:30 < @T11:00", "[true]");
}

#[test]
fn keys_and_the_store_s_own_fields_are_at_hand() {
    check("getResourceKey()", r#"["p1"]"#);
    check("managingOrganization.getReferenceKey(Organization)", r#"["o1"]"#);
    check(
        "managingOrganization.getReferenceKey('Organization')",
        r#"["o1"]"#,
    );
    check("managingOrganization.getReferenceKey(Patient)", "[]");
    check("getAidboxTs()", r#"["2023-11-14T22:13:20.123456Z"]"#);
    check("getAidboxCts()", r#"["1970-01-01T00:00:00Z"]"#);
    check("getAidboxStatus()", r#"["created"]"#);
    check("getAidboxTxid()", "[7]");
    check("resourceType", r#"["Patient"]"#);
    check("%resource.id & '/' & %rowIndex.toString()", r#"["p1/0"]"#);
    check("name.where(%context.active).family", r#"["Ärzte","Berg"]"#);
}

#[test]
fn escapes_are_undone_and_damage_in_them_is_noticed() {
    let names = |text: &str| format!(r#"{{"resourceType":"Patient","name":[{{"family":"{text}"}}]}}"#);
    assert_eq!(
        value(&names(r#"a\"b\\c\/d\né\ud83d\ude00"#), "name.family"),
        r#"["a\"b\\c/d\né😀"]"#
    );
    let broken = crate::testing::rows_with(
        r#"{"resource":"Patient","select":[{"column":[{"name":"f","path":"name.family"}]}]}"#,
        &names(r"\ud83d"),
        &crate::ResourceMeta::default(),
    );
    assert!(broken.contains("[VIEW-101]"), "{broken}");
}

#[test]
fn what_a_short_expression_can_grow_to_is_bounded() {
    let doubled = |step: &str| format!("name.given{}.count()", format!(".select({step})").repeat(40));
    check(
        &doubled("$this.combine($this)"),
        "column `v` of row 0: an expression gives more than 1000000 values [VIEW-107]",
    );
    check(
        &doubled("$this & $this"),
        "column `v` of row 0: the computed texts are longer than 64 MiB [VIEW-107]",
    );
    let filled = format!("'{}'", "x".repeat(1_000));
    for grown in [
        format!("{filled}.replace('', {filled}).replace('', {filled})"),
        format!("{filled}.replaceMatches('x', {filled}).replaceMatches('x', {filled})"),
    ] {
        check(
            &grown,
            "column `v` of row 0: the computed texts are longer than 64 MiB [VIEW-107]",
        );
    }
    check(
        "name.given.repeat($this & 'x')",
        ".path, character 25: `repeat()` of a computed value; repeat a path that goes down, such as `repeat(item)` [VIEW-024]",
    );
}

#[test]
fn texts_fall_into_characters() {
    check("'aé'.toChars()", r#"["a","é"]"#);
    check("name.given.trace('names').count()", "[3]");
}
