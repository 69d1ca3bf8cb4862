//! FHIRPath beyond what views need: every function and operator in a criterion.

use crate::testing::fires;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"gender":"female","birthDate":"1969-06-15",
    "multipleBirthInteger":2,
    "name":[{"use":"official","family":"Ash","given":["Anna","Bea"]},{"use":"usual","family":"Ash","given":["Anna"]}],
    "telecom":[{"system":"phone","value":"555-1","rank":1},{"system":"email","value":" A@B.example ","rank":2}],
    "contact":[{"name":{"family":"Oak"}}]}"#;

fn check(criteria: &[&str], expected: &str) {
    for criterion in criteria {
        assert_eq!(fires(criterion, Some(PATIENT), None), expected, "{criterion}");
    }
}

#[test]
fn existence_is_asked_of_collections() {
    check(
        &[
            "name.exists()",
            "name.exists(use = 'usual')",
            "photo.empty()",
            "name.all(given.exists())",
            "name.select(given.exists()).allTrue()",
            "name.select(period.exists()).allFalse()",
            "name.select(use = 'usual').anyTrue()",
            "name.select(use = 'usual').anyFalse()",
            "name.given.count() = 3",
            "name.given.distinct().count() = 2",
            "name.given.isDistinct().not()",
            "name.use.isDistinct()",
            "name.where(use = 'usual').given.subsetOf(name.given)",
            "name.given.supersetOf(name[1].given)",
            "photo.all(false)",
        ],
        "true",
    );
}

#[test]
fn collections_are_cut_joined_and_compared() {
    check(
        &[
            "name.first().use = 'official'",
            "name.last().use = 'usual'",
            "name.tail().count() = 1",
            "name.skip(1).use = 'usual'",
            "name.take(1).use = 'official'",
            "name.where(use = 'usual').single().family = 'Ash'",
            "name[1].use = 'usual'",
            "name.given.intersect(contact.name.given | 'Bea') = 'Bea'",
            "name.given.exclude('Anna') = 'Bea'",
            "name.family.union(contact.name.family).count() = 2",
            "(name.family | contact.name.family).count() = 2",
            "name.family.combine(contact.name.family).count() = 3",
            "'Bea' in name.given",
            "name.given contains 'Bea'",
            "(name | contact.name).family.distinct().join('+') = 'Ash+Oak'",
            "contact.repeat(name).family = 'Oak'",
            "iif(active, 'yes', 'no') = 'yes'",
            "name.select(given.first() + ' ' + family).first() = 'Anna Ash'",
            "telecom.select($index).last() = 1",
            "name.trace('names', given).count() = 2",
        ],
        "true",
    );
}

#[test]
fn texts_are_searched_changed_and_converted() {
    check(
        &[
            "name.first().family.startsWith('A')",
            "name.first().family.endsWith('sh')",
            "name.first().family.contains('s')",
            "name.first().family.matches('^A.h$')",
            "name.first().family.replace('sh', 'ce') = 'Ace'",
            "telecom.first().value.replaceMatches('[0-9]+', '#') = '#-#'",
            "name.first().family.substring(1) = 'sh'",
            "name.first().family.indexOf('h') = 2",
            "name.first().family.length() = 3",
            "name.first().family.upper() = 'ASH'",
            "telecom.last().value.trim().lower() = 'a@b.example'",
            "telecom.first().value.split('-').last().toInteger() = 1",
            "name.first().family.toChars().count() = 3",
            "name.given.join(',') = 'Anna,Bea,Anna'",
            "telecom.rank.first().toString() = '1'",
            "'1.50'.toDecimal() = 1.5",
            "'yes'.toBoolean()",
            "'2020-02'.convertsToDate() and '2020-02-30'.convertsToDate().not()",
            "'2020-02-01T10:00:00Z'.convertsToDateTime()",
            "'10:30'.convertsToTime()",
            "'x'.convertsToInteger().not()",
            "(-2.5).abs().ceiling() = 3 and 2.5.floor() = 2 and 2.55.round(1) = 2.6",
        ],
        "true",
    );
}

#[test]
fn types_are_asked_and_chosen() {
    check(
        &[
            "multipleBirth is integer",
            "(multipleBirth is boolean).not()",
            "multipleBirth.ofType(integer) = 2",
            "(multipleBirth as integer) > 1",
            "%resource is Patient",
            "1 is Integer and 1.is(System.Decimal).not()",
            "'a'.is(String) and @2020.is(Date) and @T10.is(Time) and true.is(Boolean)",
        ],
        "true",
    );
    check(
        &["multipleBirth.is(System.Integer)"],
        "fhirPathCriteria, character 15: no element is of a type of FHIRPath's own, such as `System.Integer`; write FHIR's \
         type: `integer` [VIEW-030]",
    );
}

#[test]
fn values_of_one_key_and_several_types_are_told_apart() {
    let claim = r#"{"resourceType":"Patient","contact":[{"name":{"family":"Oak"}}],
        "contained":[{"resourceType":"Organization","id":"o","name":"Ward"}],"name":[{"family":"Ash"}]}"#;
    for (criterion, expected) in [
        ("(name | contained.name).ofType(HumanName).count() = 1", "true"),
        ("(name | contained.name).ofType(string) = 'Ward'", "true"),
        ("contained.name.where($this is HumanName).exists()", "false"),
        ("contained.name.where($this is boolean).exists()", "false"),
    ] {
        assert_eq!(fires(criterion, Some(claim), None), expected, "{criterion}");
    }
}

#[test]
fn what_is_not_known_stays_unknown_until_something_settles_it() {
    check(
        &[
            "(deceased.ofType(boolean) or active)",
            "(deceased.ofType(boolean) and false).not()",
            "(deceased.ofType(boolean) and true).empty()",
            "(deceased.ofType(boolean) xor true).empty()",
            "deceased.ofType(boolean) implies active",
            "(deceased.ofType(boolean) = true).empty()",
            "({} in name.given).empty()",
            "(birthDate = @1969).empty()",
            "deceased.ofType(boolean) ~ {}",
        ],
        "true",
    );
    check(
        &[
            "deceased.ofType(boolean)",
            "deceased.ofType(boolean).not()",
            "birthDate = @1969",
        ],
        "false",
    );
}

#[test]
fn now_is_the_moment_of_the_change() {
    check(
        &[
            "now() = @1970-01-01T00:00:00Z",
            "today() = @1970-01-01",
            "timeOfDay() = @T00:00:00",
            "birthDate < today()",
            "today().toString().length() = 10",
        ],
        "true",
    );
}

#[test]
fn the_addresses_of_the_standard_have_short_names() {
    check(
        &[
            "%`vs-administrative-gender` = 'http://hl7.org/fhir/ValueSet/administrative-gender'",
            "%`ext-birthPlace` = 'http://hl7.org/fhir/StructureDefinition/birthPlace'",
            "%sct = 'http://snomed.info/sct'",
        ],
        "true",
    );
}
