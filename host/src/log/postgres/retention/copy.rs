//! What is still needed of a partition is copied to its replacement, step by step.
//!
//! A partition that nobody writes to any more changes no more, and what is superseded stays so. So what a step finds to
//! be needed no more is not needed when the swap comes, however long that takes.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::horizon::everything;
use super::super::host::HostNumber;
use super::super::row::{get, integer};
use super::choice::Partition;
use super::counts::{self, Counts};
use super::swap::{self, Swap};
use crate::change::Offset;

/// A step looks at no more versions, and copies no more bytes.
const ROWS: i64 = 2_000;
const BYTES: i64 = 8 << 20;
/// A step looks at no more rows of `matched`.
const MATCHED: i64 = 5_000;

/// What a step did.
#[derive(Debug)]
pub(super) enum Done {
    More,
    /// Others are in the way of the swap.
    Waits,
    /// The replacement took the partition's place.
    Swapped,
    /// The replacement is of no use any more.
    Void,
}

/// The place of a row of `matched` by its key.
type Matched = (i32, i64, i64);

enum Phase {
    Make,
    /// The newest versions from this sequence on.
    Newest(i64),
    /// The versions before those that some destination does not have: of the log from a sequence on, up to another.
    Before(i64, i64),
    /// Of `matched`, what belongs to the versions that were copied.
    Matched(Matched),
    /// The counted places, with the first transaction behind all that was copied.
    Count(String),
    Swap(Swap),
}

/// A replacement that is being made.
pub(super) struct Replacement {
    pub(super) partition: Partition,
    /// How many versions it has.
    pub(super) kept: u64,
    /// Every destination had what is up to here when it was begun.
    floor: Offset,
    phase: Phase,
}

impl Replacement {
    pub(super) fn new(partition: Partition, floor: Offset) -> Self {
        Self {
            partition,
            kept: 0,
            floor,
            phase: Phase::Make,
        }
    }

    /// Whether the counted places were read, and must stay as they are.
    pub(super) fn has_counted(&self) -> bool {
        matches!(self.phase, Phase::Swap(_))
    }

    pub(super) async fn step(
        &mut self,
        host: &HostNumber,
        connection: &mut PgConnection,
    ) -> Result<Done, sqlx::Error> {
        let next = match &self.phase {
            Phase::Make => self.make(connection).await?,
            Phase::Newest(from) => self.newest(*from, connection).await?,
            Phase::Before(from, behind) => self.before(*from, *behind, connection).await?,
            Phase::Matched(after) => self.matched(*after, connection).await?,
            Phase::Count(copied) => {
                let counts: Counts = counts::recount(&self.partition, connection).await?;
                Phase::Swap(Swap {
                    floor: self.floor,
                    copied: copied.clone(),
                    kept: self.kept,
                    counts,
                })
            }
            Phase::Swap(swap) => return swap::try_once(swap, &self.partition, host, connection).await,
        };
        self.phase = next;
        Ok(Done::More)
    }

    async fn make(&self, connection: &mut PgConnection) -> Result<Phase, sqlx::Error> {
        let Partition { first, behind, .. } = self.partition;
        let mut script = String::from("BEGIN; ");
        for parent in ["log", "matched"] {
            let table = self.partition.replacement(parent);
            // With the check it takes its place without being read once more.
            script.push_str(&format!(
                "DROP TABLE IF EXISTS lakefeed.{table}; \
                 CREATE TABLE lakefeed.{table} (LIKE lakefeed.{parent} INCLUDING ALL, \
                   CHECK (sequence >= {first} AND sequence < {behind})); "
            ));
        }
        script.push_str("COMMIT");
        sqlx::raw_sql(AssertSqlSafe(script)).execute(connection).await?;
        Ok(Phase::Newest(first))
    }

    /// Copies the newest versions among the next ones.
    async fn newest(&mut self, from: i64, connection: &mut PgConnection) -> Result<Phase, sqlx::Error> {
        let (old, new) = (self.partition.table("log"), self.partition.replacement("log"));
        let Some(through) = next_versions(&old, from, connection).await? else {
            return self.begin_before(connection).await;
        };
        let statement = format!(
            "INSERT INTO lakefeed.{new} SELECT l.* FROM lakefeed.{old} l \
             JOIN lakefeed.resource r ON r.resource_type = l.resource_type AND r.id = l.id AND r.sequence = l.sequence \
             WHERE l.sequence >= $1 AND l.sequence <= $2 ON CONFLICT DO NOTHING"
        );
        let copied = sqlx::query(AssertSqlSafe(statement))
            .bind(from)
            .bind(through)
            .execute(connection)
            .await?;
        self.kept += copied.rows_affected();
        Ok(Phase::Newest(through + 1))
    }

    /// What was written since is seen by its sequence: what superseded a version before it was looked at has one by now.
    async fn begin_before(&self, connection: &mut PgConnection) -> Result<Phase, sqlx::Error> {
        let row = sqlx::query(
            "SELECT coalesce(min(p.first_sequence), 0), (SELECT last_value + 1 FROM lakefeed.sequence) \
             FROM lakefeed.partition p WHERE p.last_transaction IS NULL OR p.last_transaction >= $1",
        )
        .bind(integer(self.floor.transaction))
        .fetch_one(connection)
        .await?;
        Ok(match self.floor == everything() {
            true => Phase::Matched((i32::MIN, 0, 0)),
            false => Phase::Before(get(&row, 0)?, get(&row, 1)?),
        })
    }

    /// Copies the versions before the next ones that some destination does not have.
    async fn before(
        &mut self,
        from: i64,
        behind: i64,
        connection: &mut PgConnection,
    ) -> Result<Phase, sqlx::Error> {
        let through: Option<i64> = sqlx::query_scalar(
            "SELECT max(sequence) FROM (SELECT l.sequence FROM lakefeed.log l \
             WHERE l.sequence >= $1 AND l.sequence < $2 ORDER BY l.sequence LIMIT $3) next",
        )
        .bind(from)
        .bind(behind)
        .bind(ROWS)
        .fetch_one(&mut *connection)
        .await?;
        let Some(through) = through else {
            return Ok(Phase::Matched((i32::MIN, 0, 0)));
        };
        let (old, new) = (self.partition.table("log"), self.partition.replacement("log"));
        let statement = format!(
            "INSERT INTO lakefeed.{new} SELECT l.* FROM lakefeed.log c JOIN lakefeed.{old} l ON l.sequence = c.previous \
             WHERE c.sequence >= $1 AND c.sequence <= $2 AND c.transaction >= $3 ON CONFLICT DO NOTHING"
        );
        let copied = sqlx::query(AssertSqlSafe(statement))
            .bind(from)
            .bind(through)
            .bind(integer(self.floor.transaction))
            .execute(connection)
            .await?;
        self.kept += copied.rows_affected();
        Ok(Phase::Before(through + 1, behind))
    }

    /// Copies what topics wanted of the versions that were copied, among the next rows.
    async fn matched(&self, after: Matched, connection: &mut PgConnection) -> Result<Phase, sqlx::Error> {
        let (old, new) = (
            self.partition.table("matched"),
            self.partition.replacement("matched"),
        );
        let Some(through) = next_matched(&old, after, connection).await? else {
            let copied = sqlx::query_scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
                .fetch_one(connection)
                .await?;
            return Ok(Phase::Count(copied));
        };
        let statement = format!(
            "INSERT INTO lakefeed.{new} SELECT m.* FROM lakefeed.{old} m \
             WHERE (m.topic, m.transaction, m.sequence) > ($1, $2, $3) \
               AND (m.topic, m.transaction, m.sequence) <= ($4, $5, $6) \
               AND EXISTS (SELECT FROM lakefeed.{log} l WHERE l.sequence = m.sequence) ON CONFLICT DO NOTHING",
            log = self.partition.replacement("log")
        );
        sqlx::query(AssertSqlSafe(statement))
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(through.0)
            .bind(through.1)
            .bind(through.2)
            .execute(connection)
            .await?;
        Ok(Phase::Matched(through))
    }
}

/// The last of the next versions from a sequence on; none where there is no further one.
async fn next_versions(
    table: &str,
    from: i64,
    connection: &mut PgConnection,
) -> Result<Option<i64>, sqlx::Error> {
    let statement = format!(
        "SELECT max(sequence) FROM ( \
           SELECT sequence, row_number() OVER up AS place, \
             sum(coalesce(octet_length(resource), 0)) OVER up AS total \
           FROM (SELECT sequence, resource FROM lakefeed.{table} WHERE sequence >= $1 ORDER BY sequence LIMIT $2) next \
           WINDOW up AS (ORDER BY sequence ROWS UNBOUNDED PRECEDING)) totals \
         WHERE total <= $3 OR place = 1"
    );
    sqlx::query_scalar(AssertSqlSafe(statement))
        .bind(from)
        .bind(ROWS)
        .bind(BYTES)
        .fetch_one(connection)
        .await
}

/// The last of the next rows of `matched`; none where there is no further one.
async fn next_matched(
    table: &str,
    after: Matched,
    connection: &mut PgConnection,
) -> Result<Option<Matched>, sqlx::Error> {
    let statement = format!(
        "SELECT topic, transaction, sequence FROM ( \
           SELECT topic, transaction, sequence FROM lakefeed.{table} \
           WHERE (topic, transaction, sequence) > ($1, $2, $3) ORDER BY topic, transaction, sequence LIMIT $4) next \
         ORDER BY topic DESC, transaction DESC, sequence DESC LIMIT 1"
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(after.0)
        .bind(after.1)
        .bind(after.2)
        .bind(MATCHED)
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .transpose()
}
