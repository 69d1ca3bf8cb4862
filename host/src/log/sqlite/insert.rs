//! The statements of a commit: what a group touches is read, and what it makes is written, many rows a call.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite};

use super::super::plan::{Known, NewVersion, Plan, TokenChange, is_deleted};
use super::super::{Lookup, Token};
use super::row::{
    LOG_COLUMNS, ManyRows, integer, key, log_columns, natural, status_number, to_json, version,
};
use crate::change::ResourceKey;

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

static LOOK_UP: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "WITH wanted (resource_type, id) AS (VALUES ",
        2,
        concat!(
            ") SELECT ",
            log_columns!(),
            ", r.versions, r.tokens FROM wanted w \
             CROSS JOIN resource r ON r.resource_type = w.resource_type AND r.id = w.id \
             CROSS JOIN log l ON l.sequence = r.sequence"
        ),
    )
});

// `OR ROLLBACK`: a commit that fails is given up whole, so SQLite need not keep a copy of every page that a statement of
// many rows touches, to undo that statement alone.

static ADD_VERSIONS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO log (sequence, resource_type, id, status, last_updated, created_at, previous, resource, \
         topics, topics_known, source_version, source_last_updated) VALUES ",
        LOG_COLUMNS,
        "",
    )
});

static SET_CURRENT: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO resource (resource_type, id, sequence, last_updated, deleted, versions, tokens) VALUES ",
        7,
        " ON CONFLICT (resource_type, id) DO UPDATE SET sequence = excluded.sequence, \
         last_updated = excluded.last_updated, deleted = excluded.deleted, versions = excluded.versions, \
         tokens = excluded.tokens",
    )
});

static ADD_MATCHED: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO matched (topic, sequence, ordinal) VALUES ",
        3,
        "",
    )
});

static ADD_TOKENS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO token (token, resource_type, id) VALUES ",
        3,
        "",
    )
});

static DROP_TOKENS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "DELETE FROM token WHERE (token, resource_type, id) IN (VALUES ",
        3,
        ")",
    )
});

/// What the single writer knows of the log without asking it.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The last sequence ever used.
    pub(super) last_sequence: u64,
    /// The newest sequence in the log; less than the last one used in a store that was restored.
    pub(super) head: u64,
    topics: HashMap<String, Topic>,
}

#[derive(Clone, Copy, Debug)]
struct Topic {
    number: u64,
    /// How many changes it wanted so far.
    ordinal: u64,
}

/// One row of `matched`.
struct MatchedRow {
    topic: u64,
    sequence: u64,
    ordinal: u64,
}

impl Numbers {
    /// Reads them from the store.
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let last: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'log'")
            .fetch_optional(&mut *connection)
            .await?;
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM log")
            .fetch_one(&mut *connection)
            .await?;
        let rows = sqlx::query(
            "SELECT t.id, t.number, coalesce((SELECT m.ordinal FROM matched m WHERE m.topic = t.number \
             ORDER BY m.sequence DESC LIMIT 1), 0) FROM topic t",
        )
        .fetch_all(connection)
        .await?;
        let mut topics = HashMap::with_capacity(rows.len());
        for row in &rows {
            let topic = Topic {
                number: natural(row, 1)?,
                ordinal: natural(row, 2)?,
            };
            topics.insert(row.try_get_unchecked(0)?, topic);
        }
        Ok(Self {
            last_sequence: last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0),
            head: u64::try_from(head).unwrap_or(0),
            topics,
        })
    }

    async fn matched_rows(
        &mut self,
        rows: &[NewVersion],
        connection: &mut SqliteConnection,
    ) -> Result<Vec<MatchedRow>, sqlx::Error> {
        let mut matched = Vec::with_capacity(rows.len());
        for row in rows {
            let wanted: HashSet<&String> = row.matched.topics.iter().collect();
            for id in wanted {
                let topic = self.topic(id, connection).await?;
                topic.ordinal += 1;
                matched.push(MatchedRow {
                    topic: topic.number,
                    sequence: row.version.sequence.0,
                    ordinal: topic.ordinal,
                });
            }
        }
        Ok(matched)
    }

    async fn topic(
        &mut self,
        id: &str,
        connection: &mut SqliteConnection,
    ) -> Result<&mut Topic, sqlx::Error> {
        if !self.topics.contains_key(id) {
            let added = sqlx::query("INSERT INTO topic (id) VALUES (?)")
                .bind(id)
                .execute(connection)
                .await?;
            let number = u64::try_from(added.last_insert_rowid()).unwrap_or_default();
            self.topics.insert(id.to_owned(), Topic { number, ordinal: 0 });
        }
        self.topics
            .get_mut(id)
            .ok_or_else(|| sqlx::Error::Protocol("a topic has no number".to_owned()))
    }
}

/// The current state of resources; those that never were are left out.
pub(super) async fn look_up(
    keys: &[ResourceKey],
    connection: &mut SqliteConnection,
) -> Result<HashMap<ResourceKey, Known>, sqlx::Error> {
    let mut known = HashMap::with_capacity(keys.len());
    for (statement, part) in LOOK_UP.cut(keys) {
        let query = part
            .iter()
            .fold(sqlx::query(AssertSqlSafe(statement)), |query, key| {
                query.bind(key.resource_type()).bind(key.id())
            });
        for row in &query.fetch_all(&mut *connection).await? {
            let newest = version(row)?;
            let resource = Known {
                versions: natural(row, LOG_COLUMNS)?,
                tokens: tokens(row, LOG_COLUMNS + 1)?,
                newest: Some(newest),
            };
            if let Some(newest) = &resource.newest {
                known.insert(newest.key.clone(), resource);
            }
        }
    }
    Ok(known)
}

/// Adds the resources that lookups find to those that a group touches.
pub(super) async fn add_found(
    lookups: &[&Lookup],
    keys: &mut Vec<ResourceKey>,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    if lookups.is_empty() {
        return Ok(());
    }
    let mut seen: HashSet<ResourceKey> = keys.iter().cloned().collect();
    for lookup in lookups {
        let rows = sqlx::query("SELECT resource_type, id FROM token WHERE token = ? AND resource_type = ?")
            .bind(lookup.token.0)
            .bind(&lookup.resource_type)
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let found = key(row, 0, 1)?;
            if seen.insert(found.clone()) {
                keys.push(found);
            }
        }
    }
    Ok(())
}

/// Writes what a plan holds.
pub(super) async fn write(
    plan: &Plan,
    numbers: &mut Numbers,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    for (statement, part) in ADD_VERSIONS.cut(plan.rows()) {
        let query = sqlx::query(AssertSqlSafe(statement));
        part.iter()
            .try_fold(query, bind_version)?
            .execute(&mut *connection)
            .await?;
    }
    for (statement, part) in SET_CURRENT.cut(&newest(plan)) {
        let query = part
            .iter()
            .fold(sqlx::query(AssertSqlSafe(statement)), bind_current);
        query.execute(&mut *connection).await?;
    }
    write_tokens(&plan.token_changes(), connection).await?;
    let matched = numbers.matched_rows(plan.rows(), connection).await?;
    for (statement, part) in ADD_MATCHED.cut(&matched) {
        let query = part
            .iter()
            .fold(sqlx::query(AssertSqlSafe(statement)), bind_matched);
        query.execute(&mut *connection).await?;
    }
    if let Some(newest) = plan.rows().last() {
        numbers.last_sequence = newest.version.sequence.0;
        numbers.head = newest.version.sequence.0;
    }
    Ok(())
}

async fn write_tokens(
    changes: &[TokenChange<'_>],
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let (added, dropped): (Vec<&TokenChange<'_>>, Vec<_>) =
        changes.iter().partition(|change| change.is_added);
    for (many, rows) in [(&*DROP_TOKENS, dropped), (&*ADD_TOKENS, added)] {
        for (statement, part) in many.cut(&rows) {
            let query = part
                .iter()
                .fold(sqlx::query(AssertSqlSafe(statement)), bind_token);
            query.execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Each touched resource's newest row, and what is known of it besides.
fn newest(plan: &Plan) -> Vec<(&NewVersion, &Known)> {
    let newest = |row| plan.newest(row).map(|known| (row, known));
    plan.rows().iter().filter_map(newest).collect()
}

fn bind_version<'q>(query: Query<'q>, row: &NewVersion) -> Result<Query<'q>, sqlx::Error> {
    let version = &row.version;
    let topics = match row.matched.topics.is_empty() {
        true => None,
        false => Some(to_json(&row.matched.topics)?),
    };
    let source = version.source.as_ref();
    Ok(query
        .bind(integer(version.sequence.0))
        .bind(version.key.resource_type())
        .bind(version.key.id())
        .bind(status_number(version.status))
        .bind(version.last_updated.0)
        .bind(version.created_at.0)
        .bind(row.previous.map(|previous| integer(previous.0)))
        .bind(&version.resource[..])
        .bind(topics)
        .bind(integer(row.matched.topics_known))
        .bind(source.and_then(|source| source.version.clone()))
        .bind(source.and_then(|source| source.last_updated).map(|time| time.0)))
}

fn bind_current<'q>(query: Query<'q>, (row, known): &(&NewVersion, &Known)) -> Query<'q> {
    let version = &row.version;
    query
        .bind(version.key.resource_type())
        .bind(version.key.id())
        .bind(integer(version.sequence.0))
        .bind(version.last_updated.0)
        .bind(is_deleted(version))
        .bind(integer(known.versions))
        .bind(bytes_of(&known.tokens))
}

fn bind_token<'q>(query: Query<'q>, change: &&TokenChange<'_>) -> Query<'q> {
    query
        .bind(change.token.0)
        .bind(change.key.resource_type().to_owned())
        .bind(change.key.id().to_owned())
}

/// Tokens as the store holds them beside a resource: eight bytes each.
fn bytes_of(tokens: &[Token]) -> Option<Vec<u8>> {
    let bytes = || tokens.iter().flat_map(|token| token.0.to_be_bytes()).collect();
    (!tokens.is_empty()).then(bytes)
}

fn tokens(row: &SqliteRow, column: usize) -> Result<Vec<Token>, sqlx::Error> {
    let bytes: Option<&[u8]> = row.try_get_unchecked(column)?;
    let (tokens, _) = bytes.unwrap_or_default().as_chunks::<8>();
    Ok(tokens
        .iter()
        .map(|token| Token(i64::from_be_bytes(*token)))
        .collect())
}

fn bind_matched<'q>(query: Query<'q>, row: &MatchedRow) -> Query<'q> {
    query
        .bind(integer(row.topic))
        .bind(integer(row.sequence))
        .bind(integer(row.ordinal))
}
