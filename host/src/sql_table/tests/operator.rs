//! What an operator may do, and what follows: materialise again, drop, grant, restart.

use super::*;

/// A view that was materialised before as another.
fn then(before: &Arc<MaterializedView>, selects: Value) -> Arc<MaterializedView> {
    let mut next = MaterializedView::clone(&view(before.version + 1, selects));
    next.previous = Some(Arc::clone(before));
    Arc::new(next)
}

#[tokio::test]
async fn a_view_materialised_again_is_switched_whole_and_who_may_read_still_may() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({ "gender": "female" })).await;
    bench.put("b", json!({ "gender": "male" })).await;
    let first = view(1, columns(&["id", "gender"]));
    bench.keep(&first).await;
    let reader = format!("reader_{}", bench.database);
    bench.sql(&format!(
        "CREATE ROLE {reader}; GRANT USAGE ON SCHEMA sof TO {reader}; GRANT SELECT ON sof.patients TO {reader}; \
         CREATE VIEW public.genders AS SELECT gender FROM sof.patients"
    ));
    // A column more at the end leaves every other view as it is.
    let second = then(&first, columns(&["id", "gender", "birthDate"]));
    bench.keep(&second).await;
    assert_eq!(bench.sql("SELECT count(*) FROM public.genders"), "2");
    assert_eq!(
        bench.sql("SELECT count(*), count(\"birthDate\") FROM sof.patients"),
        "2|0"
    );
    bench.sql("DROP VIEW public.genders");
    let third = then(&second, columns(&["gender"]));
    bench.keep(&third).await;
    let read = format!("SET ROLE {reader}; SELECT gender FROM sof.patients ORDER BY 1");
    assert_eq!(bench.sql(&read), "female\nmale");
    // The one that was replaced goes a moment after the switch.
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'lakefeed_sof'";
    for _ in 0..3_000 {
        if bench.sql(tables) == "2" && bench.log.destinations().await.unwrap().len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.sql(tables), "2", "the newest and the one of states");
    let destinations = bench.log.destinations().await.unwrap();
    assert_eq!(destinations.len(), 1, "only the newest is filled");
    bench.sql(&format!("DROP OWNED BY {reader}; DROP ROLE {reader}"));
    bench.close().await;
}

#[tokio::test]
async fn a_view_that_others_read_is_not_dropped_under_them_and_stays_current() {
    let Some(mut bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({ "gender": "female" })).await;
    let first = view(1, columns(&["id", "gender"]));
    bench.keep(&first).await;
    bench.sql("CREATE VIEW public.genders AS SELECT gender FROM sof.patients");
    let second = then(&first, columns(&["birthDate"]));
    bench.tables.keep(&second).await.unwrap();
    let status = held(&bench, &second).await;
    assert_eq!(status.state, SqlViewState::Replaced);
    let reason = status.reason.unwrap();
    assert!(
        reason.contains("`public.genders`") && reason.contains("[SQL-003]"),
        "{reason}"
    );
    // The old one is kept current meanwhile, also over a restart.
    bench.restart(std::slice::from_ref(&second)).await;
    bench.put("b", json!({ "gender": "other" })).await;
    for _ in 0..3_000 {
        if bench.sql("SELECT count(*) FROM public.genders") == "2" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.sql("SELECT count(*) FROM public.genders"), "2");
    bench.sql("DROP VIEW public.genders");
    bench.settle(&second).await;
    assert_eq!(
        bench.sql("SELECT count(*), count(\"birthDate\") FROM sof.patients"),
        "2|0"
    );
    bench.close().await;
}

/// Waits until it is said why a view is not switched.
async fn held(bench: &Bench, view: &MaterializedView) -> SqlView {
    for _ in 0..3_000 {
        let status = bench.tables.status(view).await.unwrap();
        if status.reason.is_some() {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing holds the view back");
}

#[tokio::test]
async fn what_was_dropped_stays_dropped_until_it_is_materialised_again() {
    let Some(mut bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({})).await;
    let first = view(1, columns(&["id"]));
    bench.keep(&first).await;
    bench.sql("DROP VIEW sof.patients");
    bench.tables.tidy().await.unwrap();
    let is_gone = |bench: &Bench| {
        bench.sql("SELECT to_regclass('sof.patients') IS NULL, count(*) FROM pg_tables WHERE schemaname = 'lakefeed_sof'")
    };
    assert_eq!(is_gone(&bench), "t|1", "its table went too");
    assert!(bench.log.destinations().await.unwrap().is_empty());
    bench.restart(std::slice::from_ref(&first)).await;
    assert_eq!(
        bench.tables.status(&first).await.unwrap().state,
        SqlViewState::Absent
    );
    let second = then(&first, columns(&["id"]));
    bench.keep(&second).await;
    assert_eq!(bench.sql("SELECT id FROM sof.patients"), "a");
    assert!(bench.tables.drop_view("patients").await.unwrap());
    assert_eq!(is_gone(&bench), "t|1");
    assert!(!bench.tables.drop_view("patients").await.unwrap());
    bench.restart(std::slice::from_ref(&second)).await;
    assert_eq!(is_gone(&bench), "t|1");
    bench.close().await;
}

#[tokio::test]
async fn what_was_not_made_here_is_left_alone() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    bench.sql("CREATE SCHEMA sof; CREATE VIEW sof.patients AS SELECT 7 AS x");
    let view = view(1, columns(&["id"]));
    let refused = bench.tables.keep(&view).await.unwrap_err();
    let text = "`sof.\"patients\"` exists in the database and was not made by lakefeed; \
                rename or drop it, or rename the view [SQL-002]";
    assert_eq!(refused.to_string(), text);
    assert_eq!(bench.sql("SELECT x FROM sof.patients"), "7");
    // One that takes the place while ours is being filled, or after it was dropped, is as safe.
    bench.sql("DROP VIEW sof.patients");
    bench.keep(&view).await;
    bench.sql("DROP VIEW sof.patients; CREATE TABLE sof.patients AS SELECT 8 AS x");
    bench.tables.tidy().await.unwrap();
    assert_eq!(bench.sql("SELECT x FROM sof.patients"), "8");
    assert!(!bench.tables.drop_view("patients").await.unwrap());
    bench.close().await;
}

#[tokio::test]
async fn a_host_that_comes_back_goes_on_from_where_the_last_one_stood() {
    let Some(mut bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({})).await;
    let view = view(1, columns(&["id"]));
    bench.keep(&view).await;
    let number = |bench: &Bench| bench.sql("SELECT number FROM lakefeed_sof.generation");
    let before = number(&bench);
    bench.restart(&[]).await;
    bench.put("b", json!({})).await;
    bench.delete("a").await;
    bench.restart(std::slice::from_ref(&view)).await;
    bench.settle(&view).await;
    assert_eq!(bench.sql("SELECT id FROM sof.patients"), "b");
    assert_eq!(number(&bench), before, "the table is the same");
    bench.close().await;
}

#[tokio::test]
async fn a_database_that_restarts_is_waited_for_and_nothing_is_missed() {
    let Some(server) = Server::start(&["fsync=off"]) else {
        return skipped();
    };
    // It ends with the thread of this test.
    let server: &'static Server = Box::leak(Box::new(server));
    let bench = Bench::on(server).await;
    bench.put("a", json!({})).await;
    let view = view(1, columns(&["id"]));
    bench.keep(&view).await;
    server.kill("QUIT");
    bench.put("b", json!({})).await;
    bench.delete("a").await;
    server.resume();
    bench.settle(&view).await;
    assert_eq!(bench.sql("SELECT id FROM sof.patients"), "b");
    bench.close().await;
}

#[tokio::test]
async fn a_switch_waits_for_the_queries_that_run_and_later_ones_hardly_wait() {
    let Some(bench) = Bench::new().await else {
        return skipped();
    };
    bench.put("a", json!({ "gender": "female" })).await;
    let first = view(1, columns(&["id"]));
    bench.keep(&first).await;
    let pool = sqlx::PgPool::connect(&bench.server.url(&bench.database))
        .await
        .unwrap();
    let mut query = pool.begin().await.unwrap();
    let read = "SELECT count(*) FROM sof.patients";
    let count: i64 = sqlx::query_scalar(read).fetch_one(&mut *query).await.unwrap();
    let second = then(&first, columns(&["gender"]));
    bench.tables.keep(&second).await.unwrap();
    let reason = held(&bench, &second).await.reason.unwrap();
    assert!(
        reason.contains("a query that is still running holds it"),
        "{reason}"
    );
    assert_eq!(bench.sql(read), count.to_string(), "others read on");
    query.commit().await.unwrap();
    bench.settle(&second).await;
    assert_eq!(bench.sql("SELECT gender FROM sof.patients"), "female");
    pool.close().await;
    bench.close().await;
}
