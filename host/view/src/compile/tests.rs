//! Wrong definitions and what is said about them.

use crate::testing::compiled;

/// One column of a Patient or Observation view: the message after its place, or the column's type.
fn column(resource: &str, path: &str) -> String {
    let view =
        serde_json::json!({"resource": resource, "select": [{"column": [{"name": "c", "path": path}]}]});
    match compiled(&view.to_string()) {
        Ok(view) => view.columns()[0].fhir_type.clone(),
        Err(errors) => errors.replace("view without a name: ViewDefinition.select[0].column[0].path", ""),
    }
}

fn check(resource: &str, path: &str, expected: &str) {
    assert_eq!(column(resource, path), expected, "{path}");
}

/// A whole definition: its errors, or `fine`.
fn check_view(view: &str, expected: &str) {
    let found = compiled(view).map_or_else(|errors| errors, |_| "fine".to_owned());
    assert_eq!(found, expected, "{view}");
}

#[test]
fn an_untyped_column_has_the_type_of_its_path() {
    for (path, expected) in [
        ("id", "id"),
        ("birthDate", "date"),
        ("meta.lastUpdated", "instant"),
        ("active", "boolean"),
        ("name.family", "string"),
        ("gender", "code"),
        ("multipleBirth.ofType(integer)", "integer"),
        ("name.count()", "integer"),
        ("name.exists()", "boolean"),
        ("photo.data", "base64Binary"),
        ("'x'", "string"),
        ("1.5", "decimal"),
        ("getAidboxTs()", "dateTime"),
        ("getAidboxTxid()", "integer64"),
        ("birthDate.lowBoundary()", "date"),
        ("iif(active, gender, 'x')", "string"),
        ("getResourceKey()", "string"),
        ("extension('http://a').value.ofType(decimal)", "decimal"),
        ("contained.ofType(Organization).partOf.reference", "string"),
    ] {
        check("Patient", path, expected);
    }
}

#[test]
fn a_path_that_can_never_match_says_what_to_write() {
    check(
        "Observation",
        "valueQuantity.value",
        ", character 1: `valueQuantity` is how JSON spells it, FHIRPath does not know it; write `value.ofType(Quantity)` \
         [VIEW-022]",
    );
    check(
        "Observation",
        "effectiveDateTime",
        ", character 1: `effectiveDateTime` is how JSON spells it, FHIRPath does not know it; write \
         `effective.ofType(dateTime)` [VIEW-022]",
    );
    check(
        "Patient",
        "name.famly",
        ", character 6: `famly` is no element of a HumanName; did you mean `family` [VIEW-021]",
    );
    check(
        "Patient",
        "gender.coding",
        ", character 8: `coding` is no element of a code; the value has no elements; end the path before it [VIEW-021]",
    );
    check(
        "Observation",
        "value.ofType(Address)",
        ", character 7: the value is never of the type `Address`; it is one of `Quantity`, `CodeableConcept`, `string`, `boolean`, \
         `integer`, `Range`, `Ratio`, `SampledData`, `time`, `dateTime`, `Period` [VIEW-030]",
    );
    check(
        "Observation",
        "value.ofType(quantity)",
        ", character 14: `quantity` is no FHIR R4 type; did you mean `Quantity` [VIEW-011]",
    );
}

#[test]
fn what_is_no_column_says_how_to_make_one_of_it() {
    let name = column("Patient", "name");
    assert!(
        name.starts_with(
            ": the path gives a HumanName, which has parts; a column holds one text, number, date or boolean; go on to \
             an element of it: "
        ),
        "{name}"
    );
    check(
        "Patient",
        "deceased",
        ": the path gives a boolean or dateTime; choose one with `.ofType(boolean)`, or declare the column's `type` \
         [VIEW-012]",
    );
}

#[test]
fn functions_and_operators_are_checked_before_any_resource() {
    check(
        "Patient",
        "birthDate > today()",
        ", character 13: the function `today()` is not supported; rows must not depend on when they are made; compare with \
         the date in SQL [VIEW-023]",
    );
    check(
        "Patient",
        "name.frist()",
        ", character 6: the function `frist()` is not supported; did you mean `first()` [VIEW-023]",
    );
    check(
        "Patient",
        "name.where()",
        ", character 6: `where()` without an argument; write it as `where(expression)` [VIEW-024]",
    );
    check(
        "Patient",
        "active = 'true'",
        ", character 8: `=` between a boolean and a string; compare values of one kind: text stands in quotes, a \
         number or a boolean does not [VIEW-027]",
    );
    check(
        "Observation",
        "value.ofType(Quantity) > 5",
        ", character 24: `>` between a Quantity and an integer; compare its number: add `.value` [VIEW-027]",
    );
    check(
        "Observation",
        "value.ofType(Quantity) > 5 'mg'",
        ", character 26: a number with a unit is not supported; compare the number alone, such as \
         `value.ofType(Quantity).value > 5` [VIEW-031]",
    );
    check(
        "Patient",
        "name.where(family).given",
        ", character 12: the condition gives a string, not a boolean; compare it with something, or add `.exists()` [VIEW-028]",
    );
    check(
        "Patient",
        "gender.matches('(')",
        ", character 16: the pattern is no regular expression: unclosed group; mend the pattern; there are no \
         look-around and no back-references [VIEW-026]",
    );
    let bomb = column("Patient", "gender.matches('((a{1,1000}){1,1000}){1,1000}')");
    assert_eq!(
        bomb,
        ", character 16: the pattern is too large; repeat less, or write less [VIEW-026]"
    );
    check(
        "Patient",
        "$index",
        ", character 1: `$index` outside of a loop; use it within `where`, `select` or `all`; rows are \
         numbered by `%rowIndex` [VIEW-031]",
    );
    check(
        "Patient",
        "%nam",
        ", character 1: `%nam` is not defined; declare `nam` under `constant` [VIEW-025]",
    );
    check(
        "Patient",
        "birthDate > @2020-13",
        ", character 13: no such day in the calendar [TIME-002]; write it as `@2024-01-31` or \
         `@2024-01-31T10:30:00Z` [VIEW-020]",
    );
}

#[test]
fn all_mistakes_are_reported_together_in_document_order() {
    check_view(
        r#"{"resource": "Patient", "name": "v", "where": [{"path": "name.family"}], "select": [
            {"column": [{"name": "a", "path": "brithDate"}, {"name": "a", "path": "id", "type": "integer"}]},
            {"forEach": "nmae", "column": [{"name": "b", "path": "x.y.z"}, {"name": "c", "path": "((" }]}]}"#,
        "view `v`: ViewDefinition.where[0].path, character 1: the condition gives a string, not a boolean; compare it with \
         something, or add `.exists()` [VIEW-028]\n\
         view `v`: ViewDefinition.select[0].column[0].path, character 1: `brithDate` is no element of a Patient; did you mean \
         `birthDate` [VIEW-021]\n\
         view `v`: ViewDefinition.select[0].column[1].type: the type is `integer`, the path gives an id; drop the type, or \
         write `id` [VIEW-013]\n\
         view `v`: ViewDefinition.select[1].forEach, character 1: `nmae` is no element of a Patient; did you mean `name` \
         [VIEW-021]\n\
         view `v`: ViewDefinition.select[1].column[1].path, character 3: the expression ends where a value belongs; write a path, a literal \
         or a function there [VIEW-020]\n\
         view `v`: ViewDefinition.select[0].column[1].name: a second column `a`; the first is \
         ViewDefinition.select[0].column[0]; rename one of them [VIEW-006]",
    );
}

#[test]
fn the_shape_of_a_definition_is_checked() {
    let view = |rest: &str| format!(r#"{{"resource": "Patient", {rest}}}"#);
    let prefix = "view without a name: ViewDefinition";
    check_view(
        "[",
        "view without a name: ViewDefinition: not JSON at line 1, column 1: the text ends within a list; mend the JSON there [VIEW-001]",
    );
    check_view(
        &view(r#""select": []"#),
        "view without a name: ViewDefinition: `select` is absent or empty; add one, such as `\"select\": [{\"column\": \
         [{\"name\": \"id\", \"path\": \"id\"}]}]` [VIEW-002]",
    );
    check_view(
        &view(r#""select": [{"foreach": "name", "column": [{"name": "a", "path": "family"}]}]"#),
        &format!(
            "{prefix}.select[0].foreach: there is no element `foreach` here; did you mean `forEach` [VIEW-004]"
        ),
    );
    check_view(
        &view(r#""select": [{"column": [{"name": "a-b", "path": "id"}]}]"#),
        &format!(
            "{prefix}.select[0].column[0].name: `a-b` is no name that SQL takes unquoted; use letters, digits and `_`, and start with a letter [VIEW-005]"
        ),
    );
    check_view(
        &view(
            r#""select": [{"forEach": "name", "forEachOrNull": "name", "column": [{"name": "a", "path": "family"}]}]"#,
        ),
        &format!(
            "{prefix}.select[0]: `forEach` and `forEachOrNull` together in one select; keep one and nest a select for the other [VIEW-008]"
        ),
    );
    check_view(
        &view(
            r#""constant": [{"name": "c", "valueDate": "soon"}], "select": [{"column": [{"name": "a", "path": "id"}]}]"#,
        ),
        &format!(
            "{prefix}.constant[0].valueDate: the constant `c` is not a FHIR date; write it as `2024-01-31` [VIEW-010]"
        ),
    );
    check_view(
        r#"{"resource": "Pateint", "select": [{"column": [{"name": "a", "path": "id"}]}]}"#,
        &format!(
            "{prefix}.resource: `Pateint` is no FHIR R4 resource type; did you mean `Patient` [VIEW-009]"
        ),
    );
    check_view(
        &view(r#""_x": 1, "select": [{"id": "1", "column": [{"name": "a", "path": "id"}]}]"#),
        "fine",
    );
}

#[test]
fn branches_of_a_union_must_agree() {
    let view = |second: &str| {
        format!(
            r#"{{"resource": "Patient", "select": [{{"unionAll": [
            {{"column": [{{"name": "a", "path": "id"}}]}}, {{"column": [{second}]}}]}}]}}"#
        )
    };
    check_view(&view(r#"{"name": "a", "path": "gender"}"#), "fine");
    check_view(
        &view(r#"{"name": "a", "path": "active"}"#),
        "view without a name: ViewDefinition.select[0].unionAll[1].column[0]: the column `a` is `boolean` here; make it `id`, \
         as in the first branch [VIEW-007]",
    );
    check_view(
        &view(r#"{"name": "b", "path": "id"}"#),
        "view without a name: ViewDefinition.select[0].unionAll[1]: the branch gives `b`; give every branch the columns of \
         the first, in their order: `a` [VIEW-007]",
    );
}
