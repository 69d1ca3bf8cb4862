//! A partition and its replacement change places, in one short transaction.
//!
//! Whoever reads or writes the log waits meanwhile, and whoever waits for the lock makes others wait behind it: so it is
//! asked for with little patience, and again later. The table that was taken out is dropped afterwards, when nobody is
//! kept waiting by that.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::host::HostNumber;
use super::super::row::{integer, limit};
use super::choice::{Partition, slowest};
use super::copy::Done;
use super::counts::Counts;
use super::{SHORT, in_time};
use crate::change::Offset;

/// What the swap needs to know.
#[derive(Debug)]
pub(super) struct Swap {
    /// Every destination must have what is up to here.
    pub(super) floor: Offset,
    /// The first transaction of the server behind those that copied.
    pub(super) copied: String,
    /// How many versions were copied.
    pub(super) kept: u64,
    pub(super) counts: Counts,
}

/// Tries it, once.
pub(super) async fn try_once(
    swap: &Swap,
    partition: &Partition,
    host: &HostNumber,
    connection: &mut PgConnection,
) -> Result<Done, sqlx::Error> {
    if is_seen_from_before(&swap.copied, connection).await? {
        return Ok(Done::Waits);
    }
    let mut done = Done::Swapped;
    let ran = transact(swap, partition, host, &mut done, connection).await;
    match in_time(ran, connection).await? {
        true => Ok(done),
        false => Ok(Done::Waits),
    }
}

/// Whether a session still looks at the database as it was before all was copied: it would find the replacement empty.
async fn is_seen_from_before(copied: &str, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datname = current_database() \
         AND a.pid <> pg_backend_pid() AND coalesce(a.backend_type, 'client backend') = 'client backend' \
         AND a.backend_xmin IS NOT NULL AND age(a.backend_xmin) > age($1::text::xid8::xid))",
    )
    .bind(copied)
    .fetch_one(connection)
    .await
}

async fn transact(
    swap: &Swap,
    partition: &Partition,
    host: &HostNumber,
    done: &mut Done,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    // Nobody begins anew, or is set back, from here on.
    let begin = format!("BEGIN; {SHORT}; LOCK TABLE lakefeed.destination IN SHARE MODE");
    sqlx::raw_sql(AssertSqlSafe(begin))
        .execute(&mut *connection)
        .await?;
    if !is_allowed(swap, partition, host, connection).await? {
        *done = Done::Void;
        sqlx::raw_sql("ROLLBACK").execute(connection).await?;
        return Ok(());
    }
    let is_empty = is_empty(partition, connection).await?;
    count_anew(&swap.counts, partition, connection).await?;
    note(swap, partition, is_empty, connection).await?;
    sqlx::raw_sql(AssertSqlSafe(exchange(partition, is_empty)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether every destination still has what it had, the store is still this host's and the partition as it was.
async fn is_allowed(
    swap: &Swap,
    partition: &Partition,
    host: &HostNumber,
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    if slowest(connection)
        .await?
        .is_some_and(|(_, offset)| offset < swap.floor)
    {
        return Ok(false);
    }
    let found = sqlx::query(
        "SELECT s.host, p.round FROM lakefeed.store s, lakefeed.partition p WHERE p.number = $1 FOR UPDATE OF p",
    )
    .bind(integer(partition.number))
    .fetch_optional(connection)
    .await?;
    let Some(found) = found else { return Ok(false) };
    Ok(found.try_get::<i64, _>(0)? == *host && found.try_get::<i64, _>(1)? == integer(partition.round))
}

async fn is_empty(partition: &Partition, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let statement = format!(
        "SELECT NOT EXISTS (SELECT FROM lakefeed.{})",
        partition.replacement("log")
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await
}

async fn count_anew(
    counts: &Counts,
    partition: &Partition,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let places = &counts.places;
    sqlx::query(
        "WITH places AS MATERIALIZED ( \
           SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[]) w (topic, transaction, sequence, ordinal)), \
         given_way AS ( \
           DELETE FROM lakefeed.matched_count c USING places w WHERE w.ordinal IS NULL \
             AND c.topic = w.topic AND c.transaction = w.transaction AND c.sequence = w.sequence) \
         UPDATE lakefeed.matched_count c SET ordinal = w.ordinal FROM places w WHERE w.ordinal IS NOT NULL \
           AND c.topic = w.topic AND c.transaction = w.transaction AND c.sequence = w.sequence",
    )
    .bind(places.iter().map(|place| place.0).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.1).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.2).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.3).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE lakefeed.matched_count c SET ordinal = c.ordinal - w.lost \
         FROM unnest($1::integer[], $2::bigint[]) w (topic, lost) \
         WHERE c.topic = w.topic AND w.lost > 0 AND c.transaction > $3",
    )
    .bind(counts.later.iter().map(|topic| topic.0).collect::<Vec<_>>())
    .bind(counts.later.iter().map(|topic| topic.1).collect::<Vec<_>>())
    .bind(partition.last_transaction)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes note of what becomes of the partition.
async fn note(
    swap: &Swap,
    partition: &Partition,
    is_empty: bool,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if is_empty {
        sqlx::query("DELETE FROM lakefeed.partition WHERE number = $1")
            .bind(integer(partition.number))
            .execute(connection)
            .await?;
        return Ok(());
    }
    sqlx::query(
        "UPDATE lakefeed.partition SET round = $2, retained = $3, \
         looked_at = (SELECT last_value FROM lakefeed.sequence) WHERE number = $1",
    )
    .bind(integer(partition.number))
    .bind(integer(partition.round + 1))
    .bind(limit(usize::try_from(swap.kept).unwrap_or(usize::MAX)))
    .execute(connection)
    .await?;
    Ok(())
}

fn exchange(partition: &Partition, is_empty: bool) -> String {
    let Partition { first, behind, .. } = partition;
    let mut script =
        String::from("LOCK TABLE ONLY lakefeed.log, ONLY lakefeed.matched IN ACCESS EXCLUSIVE MODE; ");
    for parent in ["log", "matched"] {
        let (old, new) = (partition.table(parent), partition.replacement(parent));
        script.push_str(&format!(
            "ALTER TABLE lakefeed.{parent} DETACH PARTITION lakefeed.{old}; "
        ));
        if !is_empty {
            script.push_str(&format!(
                "ALTER TABLE lakefeed.{parent} ATTACH PARTITION lakefeed.{new} FOR VALUES FROM ({first}) TO ({behind}); "
            ));
        }
    }
    script.push_str("COMMIT");
    script
}
