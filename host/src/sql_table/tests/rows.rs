//! What a SQL user sees.

use super::*;

#[tokio::test]
async fn a_view_shows_the_newest_rows_of_the_living_resources() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    let names = |names: &[&str]| {
        let name = |family: &&str| json!({ "family": family });
        json!({ "name": names.iter().map(name).collect::<Vec<_>>() })
    };
    bench.put("a", names(&["A1", "A2"])).await;
    bench.put("b", names(&["B"])).await;
    bench
        .put("c", json!({ "active": false, "name": [{ "family": "C" }] }))
        .await;
    bench.put("b", names(&["B2"])).await;
    bench.put("d", names(&["D"])).await;
    bench.delete("d").await;
    // Without a column that tells the resource, and with several rows a resource.
    let view = view(
        1,
        json!([{ "forEach": "name", "column": [{ "name": "family", "path": "family" }] }]),
    );
    bench.keep(&view).await;
    let rows = || bench.sql("SELECT string_agg(family, ' ' ORDER BY family) FROM sof.patients");
    assert_eq!(rows(), "A1 A2 B2");
    bench.put("a", names(&["A3"])).await;
    bench
        .put("b", json!({ "active": false, "name": [{ "family": "B3" }] }))
        .await;
    bench.put("c", names(&["C", "C"])).await;
    bench.put("d", names(&["D2"])).await;
    bench.put("e", names(&[])).await;
    bench.settle(&view).await;
    assert_eq!(rows(), "A3 C C D2");
    bench.delete("c").await;
    bench.settle(&view).await;
    assert_eq!(rows(), "A3 D2");
    bench.close().await;
}

#[tokio::test]
async fn each_value_arrives_whole_in_its_columns_type() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    let resource = r#"{"resourceType":"Patient","id":"a","active":true,"birthDate":"1970-06-05",
        "deceasedDateTime":"2020-02-29T23:30:00.1234567-05:00","multipleBirthInteger":2,
        "name":[{"family":"tab\tline\nback\\slash \\N \"é\"","given":["A\"\\","B"]}],
        "photo":[{"data":"AP8="}],
        "extension":[{"url":"u","valueDecimal":0.100},{"url":"v","valueDecimal":-12345678901234567890.12345678901}]}"#;
    bench.put_text("a", resource).await;
    bench
        .put_text("b", r#"{"resourceType":"Patient","id":"b"}"#)
        .await;
    let select = json!([{ "column": [
        { "name": "id", "path": "getResourceKey()" },
        { "name": "active", "path": "active" },
        { "name": "born", "path": "birthDate" },
        { "name": "died", "path": "deceased.ofType(dateTime)" },
        { "name": "births", "path": "multipleBirth.ofType(integer)" },
        { "name": "Family", "path": "name.family.first()" },
        { "name": "given", "path": "name.given", "collection": true },
        { "name": "photo", "path": "photo.data.first()" },
        { "name": "first", "path": "extension.where(url = 'u').value.ofType(decimal)", "type": "decimal" },
        { "name": "numbers", "path": "extension.value.ofType(decimal)", "type": "decimal", "collection": true }
    ] }]);
    let view = view(1, select);
    bench.keep(&view).await;
    let shown = bench.sql(
        "SET TimeZone = 'UTC'; SELECT active, born, died, births, photo, first, given, numbers \
         FROM sof.patients WHERE id = 'a'",
    );
    assert_eq!(
        shown,
        "t|1970-06-05|2020-03-01 04:30:00.123456+00|2|\\x00ff|0.100|[\"A\\\"\\\\\", \"B\"]|\
         [0.100, -12345678901234567890.12345678901]"
    );
    let family = bench.sql(
        "SELECT replace(replace(\"Family\", E'\\t', '<t>'), E'\\n', '<n>') FROM sof.patients WHERE id = 'a'",
    );
    assert_eq!(family, "tab<t>line<n>back\\slash \\N \"é\"");
    let empty = bench.sql("SELECT num_nulls(active, born, died, births, \"Family\", photo, first) FROM sof.patients WHERE id = 'b'");
    assert_eq!(empty, "7");
    let types = bench.sql(
        "SELECT string_agg(data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns \
         WHERE table_schema = 'sof'",
    );
    assert_eq!(
        types,
        "text, boolean, date, timestamp with time zone, integer, text, jsonb, bytea, numeric, jsonb"
    );
    bench.close().await;
}

#[tokio::test]
async fn a_refused_version_takes_the_rows_before_it_away_and_is_a_dead_letter() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    let decimal = |number: &str, id: &str| {
        format!(
            r#"{{"resourceType":"Patient","id":"{id}","extension":[{{"url":"u","valueDecimal":{number}}}]}}"#
        )
    };
    for id in ["a", "b", "c"] {
        bench.put_text(id, &decimal("1.5", id)).await;
    }
    let select = json!([{ "column": [
        { "name": "id", "path": "id" },
        { "name": "born", "path": "birthDate" },
        { "name": "number", "path": "extension.value.ofType(decimal)", "type": "decimal" }
    ] }]);
    let view = view(1, select);
    bench.keep(&view).await;
    // The database has no such number, and the view no such date.
    bench.put_text("a", &decimal("1e200000", "a")).await;
    bench.put("b", json!({ "birthDate": "1970-02-31" })).await;
    bench.put_text("c", &decimal("2.50", "c")).await;
    bench.settle(&view).await;
    assert_eq!(bench.sql("SELECT id, number FROM sof.patients"), "c|2.50");
    let there = bench.tables.0.database.generations("patients").await.unwrap();
    let letters = bench
        .log
        .dead_letters(&there[0].destination(), 0, 10)
        .await
        .unwrap();
    let mut codes: Vec<(&str, &str)> = letters
        .iter()
        .map(|letter| (letter.letter.key.id(), letter.letter.code.as_str()))
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [("a", "SQL-007"), ("b", "VIEW-103")]);
    assert_eq!(bench.tables.status(&view).await.unwrap().refused, 2);
    bench.close().await;
}

#[tokio::test]
async fn a_batch_that_comes_late_changes_nothing() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({ "gender": "female" })).await;
    let view = view(1, columns(&["id", "gender"]));
    bench.keep(&view).await;
    bench.put("a", json!({ "gender": "other" })).await;
    bench.settle(&view).await;
    let database = &bench.tables.0.database;
    let table = database.generations("patients").await.unwrap().remove(0);
    let columns = columns::of(&view_schema(
        "patients",
        &crate::delivery::compile(&view.definition).unwrap(),
        crate::delivery::Keeps::Newest,
    ))
    .unwrap();
    let late = database.replace(&table, &columns, (1, 1), &["a"], "a\ta\tfemale\n".to_owned());
    assert!(matches!(late.await, Err(SqlTableError::Gone)));
    assert_eq!(bench.sql("SELECT gender FROM sof.patients"), "other");
    bench.close().await;
}
