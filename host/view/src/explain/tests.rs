//! Views and what is explained of them.

use crate::testing::compiled;

#[test]
fn a_view_is_explained_by_what_it_reads_and_computes() {
    let view = compiled(
        r#"{"name": "patients", "resource": "Patient",
            "constant": [{"name": "use", "valueCode": "official"}],
            "where": [{"path": "active = true and (gender = 'male' or 1 = 2)"}],
            "select": [
              {"column": [
                {"name": "id", "path": "getResourceKey()"},
                {"name": "born", "path": "birthDate.lowBoundary()"},
                {"name": "dead", "path": "deceased.ofType(boolean)"},
                {"name": "given", "path": "name.given", "collection": true}]},
              {"forEach": "name.where(use = %use).first()",
               "column": [
                 {"name": "family", "path": "family"},
                 {"name": "first", "path": "given[0] & ' it\\'s'"},
                 {"name": "city", "path": "%resource.address.first().city"}]},
              {"unionAll": [
                {"forEachOrNull": "telecom.where(rank > 1)", "column": [{"name": "value", "path": "value"}]},
                {"column": [{"name": "value", "path": "'none'"}]}]}]}"#,
    )
    .unwrap();
    assert_eq!(
        view.explain().to_string(),
        "\
patients: 8 columns of Patient

reads
  active
  address.city
  birthDate
  deceasedBoolean
  gender
  id
  name.family
  name.given
  name.use
  resourceType
  telecom.rank
  telecom.value

computes
  only where active = true and (gender = 'male' or false)  (general)
  id         string          fast     getResourceKey()
  born       date            general  birthDate.lowBoundary()
  dead       boolean         fast     deceasedBoolean
  given      list of string  fast     name.given
  for each name.where(use = 'official').first()  (fast)
    family   string          fast     family
    first    string          general  given[0] & ' it\\'s'
    city     string          general  %resource.address.first().city
  rows of
    for each telecom.where(rank > 1), or once with nulls  (general)
      value  string          fast     value
  and rows of
    value    string          general  'none'
"
    );
}

#[test]
fn what_is_read_at_every_depth_is_said() {
    let view = compiled(
        r#"{"resource": "Questionnaire", "select": [
            {"repeat": ["item"], "column": [{"name": "link", "path": "linkId"}]}]}"#,
    )
    .unwrap();
    assert_eq!(
        view.explain().to_string(),
        "\
a view without a name: 1 column of Questionnaire

reads
  item.item…
  item.linkId
  resourceType

computes
  for each item at every depth  (general)
    link  string  fast     linkId
"
    );
}

#[test]
fn expressions_are_written_as_they_are_computed() {
    let computed = |path: &str| {
        let view = compiled(&format!(
            r#"{{"resource": "Patient", "select": [{{"column": [{{"name": "c", "path": "{path}"}}]}}]}}"#
        ));
        let text = view.unwrap().explain().to_string();
        let (_, path) = text.trim_end().rsplit_once("  ").unwrap();
        path.to_owned()
    };
    for (written, expected) in [
        // What depends on no resource is computed already.
        ("1 + 2 * 3", "7"),
        (
            "multipleBirth.ofType(integer) - (1 - id.length())",
            "multipleBirthInteger - (1 - id.length())",
        ),
        ("-(id.length() + 1) * 2", "-(id.length() + 1) * 2"),
        (
            "(id | gender).count() > 1 implies active",
            "(id | gender).count() > 1 implies active",
        ),
        ("id.combine(gender).join(', ')", "id.combine(gender).join(', ')"),
        ("id.exclude(gender).exists()", "id.exclude(gender).exists()"),
        (
            "name.select(given.first()).distinct().count()",
            "name.select(given.first()).distinct().count()",
        ),
        (
            "name.all(given.exists() and $index < 3)",
            "name.all(given.exists() and $index < 3)",
        ),
        (
            "name.skip(1).take(2).last().family",
            "name.skip(1).take(2).last().family",
        ),
        (
            "id.substring(1, 2).upper() in name.family",
            "id.substring(1, 2).upper() in name.family",
        ),
        (
            "id.replaceMatches('[a-z]', '-').toInteger()",
            "id.replaceMatches('[a-z]', '-').toInteger()",
        ),
        ("birthDate.convertsToDate()", "birthDate.convertsToDate()"),
        ("birthDate < @2020-01-31", "birthDate < @2020-01-31"),
        ("iif(active, 'a', 'b')", "iif(active, 'a', 'b')"),
        (
            "managingOrganization.getReferenceKey(Organization)",
            "managingOrganization.getReferenceKey(Organization)",
        ),
        (
            "extension('u').value.ofType(decimal).round(2)",
            "extension.where(url = 'u').valueDecimal.round(2)",
        ),
        (
            "contained.ofType(Organization).active.allTrue()",
            "contained.ofType(Organization).active.allTrue()",
        ),
        ("getAidboxTxid()", "getAidboxTxid()"),
        ("%rowIndex", "%rowIndex"),
    ] {
        assert_eq!(computed(written), expected, "{written}");
    }
}
