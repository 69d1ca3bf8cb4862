//! The counted places of `matched`, as they will be when a replacement has taken its place.
//!
//! A counted place says how many rows are up to it. A place behind the partition loses as many as the partition does; one
//! among its transactions loses those up to it, and gives way where too few are left between it and the one before.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::choice::Partition;

/// Fewer rows than this between two counted places are not worth a place.
const APART: i64 = 10_000;

/// What changes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Topic, transaction and sequence of a place, and its count; none where it gives way.
    pub(super) places: Vec<(i32, i64, i64, Option<i64>)>,
    /// By how much the count of a topic's later places falls.
    pub(super) later: Vec<(i32, i64)>,
}

/// Counts what a partition loses.
pub(super) async fn recount(
    partition: &Partition,
    connection: &mut PgConnection,
) -> Result<Counts, sqlx::Error> {
    let topics: Vec<i32> = sqlx::query_scalar("SELECT number FROM lakefeed.topic ORDER BY number")
        .fetch_all(&mut *connection)
        .await?;
    let mut counts = Counts::default();
    for topic in topics {
        recount_topic(topic, partition, &mut counts, connection).await?;
    }
    Ok(counts)
}

async fn recount_topic(
    topic: i32,
    partition: &Partition,
    counts: &mut Counts,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut kept: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(ordinal), 0) FROM lakefeed.matched_count WHERE topic = $1 AND transaction < $2",
    )
    .bind(topic)
    .bind(partition.first_transaction)
    .fetch_one(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT transaction, sequence, ordinal FROM lakefeed.matched_count \
         WHERE topic = $1 AND transaction >= $2 AND transaction <= $3 ORDER BY transaction, sequence",
    )
    .bind(topic)
    .bind(partition.first_transaction)
    .bind(partition.last_transaction)
    .fetch_all(&mut *connection)
    .await?;
    let (mut after, mut lost) = ((i64::MIN, i64::MIN), 0);
    for row in &rows {
        let place: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        lost += loses(topic, after, place, partition, connection).await?;
        let count = row.try_get::<i64, _>(2)? - lost;
        let is_worth_it = count - kept >= APART;
        counts
            .places
            .push((topic, place.0, place.1, is_worth_it.then_some(count)));
        if is_worth_it {
            kept = count;
        }
        after = place;
    }
    lost += loses(topic, after, (i64::MAX, i64::MAX), partition, connection).await?;
    counts.later.push((topic, lost));
    Ok(())
}

/// How many rows of a topic a partition loses between two places.
async fn loses(
    topic: i32,
    after: (i64, i64),
    through: (i64, i64),
    partition: &Partition,
    connection: &mut PgConnection,
) -> Result<i64, sqlx::Error> {
    let count = |table: String| {
        format!(
            "(SELECT count(*) FROM lakefeed.{table} m WHERE m.topic = $1 \
             AND (m.transaction, m.sequence) > ($2, $3) AND (m.transaction, m.sequence) <= ($4, $5))"
        )
    };
    let statement = format!(
        "SELECT {} - {}",
        count(partition.table("matched")),
        count(partition.replacement("matched"))
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(topic)
        .bind(after.0)
        .bind(after.1)
        .bind(through.0)
        .bind(through.1)
        .fetch_one(connection)
        .await
}
