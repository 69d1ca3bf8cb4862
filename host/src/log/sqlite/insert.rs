//! The statements of a commit: what a group touches is read, and what it makes is written, many rows a call.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::super::plan::{Known, MOST_OTHER_BYTES, NewVersion, Plan, TokenChange, is_deleted};
use super::super::{Lookup, MOST_BEARERS, Token};
use super::row::{
    LOG_COLUMNS, MANY, ManyRows, Places, Script, integer, key, log_columns, natural, status_number, to_json,
    version,
};
use crate::change::{ResourceKey, Version};

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
// many rows touches, to undo that statement alone. An `ON CONFLICT DO UPDATE` would keep it all the same.

static ADD_VERSIONS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO log (sequence, resource_type, id, status, last_updated, created_at, previous, resource, \
         topics, topics_known, source_version, source_last_updated) SELECT * FROM (VALUES ",
        12,
        ") WHERE column1 IS NOT NULL",
    )
});

static ADD_CURRENT: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO resource (resource_type, id, sequence, last_updated, deleted, versions, tokens) \
         SELECT * FROM (VALUES ",
        7,
        ") WHERE column1 IS NOT NULL",
    )
});

static SET_CURRENT: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "UPDATE OR ROLLBACK resource SET sequence = w.column3, last_updated = w.column4, deleted = w.column5, \
         versions = w.column6, tokens = w.column7 FROM (VALUES ",
        7,
        ") w WHERE resource.resource_type = w.column1 AND resource.id = w.column2",
    )
});

static ADD_MATCHED: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO matched (topic, sequence, ordinal) SELECT * FROM (VALUES ",
        3,
        ") WHERE column1 IS NOT NULL",
    )
});

static ADD_TOKENS: LazyLock<ManyRows> = LazyLock::new(|| {
    ManyRows::new(
        "INSERT OR ROLLBACK INTO token (token, resource_type, id) SELECT * FROM (VALUES ",
        3,
        ") WHERE column1 IS NOT NULL",
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

/// The current state of resources; those that never were are left out. What `script` holds is run before.
pub(super) async fn look_up(
    keys: &[ResourceKey],
    mut script: Script,
    connection: &mut SqliteConnection,
) -> Result<HashMap<ResourceKey, Known>, sqlx::Error> {
    let mut known = HashMap::with_capacity(keys.len());
    for part in keys.chunks(MANY) {
        script.add_rows(&LOOK_UP, part, |places, key| {
            places.add(key.resource_type())?.add(key.id()).map(drop)
        })?;
        for row in &std::mem::take(&mut script).fetch(connection).await? {
            let newest = version(row)?;
            let resource = Known {
                versions: natural(row, LOG_COLUMNS)?,
                is_stored: true,
                tokens: tokens(row, LOG_COLUMNS + 1)?,
                newest: Some(newest),
            };
            if let Some(newest) = &resource.newest {
                known.insert(newest.key.clone(), resource);
            }
        }
    }
    script.run(connection).await?;
    Ok(known)
}

/// The newest versions of resources that no write touches; none for those that never were. What is too much is left out.
pub(super) async fn others(
    keys: Vec<ResourceKey>,
    connection: &mut SqliteConnection,
) -> Result<Vec<(ResourceKey, Option<Version>)>, sqlx::Error> {
    let mut found = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for part in keys.chunks(MANY) {
        let mut known = look_up(part, Script::default(), connection).await?;
        for key in part {
            let newest = known.remove(key).and_then(|known| known.newest);
            bytes += newest.as_ref().map_or(0, |version| version.resource.len());
            found.push((key.clone(), newest));
        }
        if bytes >= MOST_OTHER_BYTES {
            break;
        }
    }
    Ok(found)
}

/// Adds the resources that lookups find to those that a group touches. Answers the tokens that too many bear; of those
/// none is added.
pub(super) async fn add_found(
    lookups: &[&Lookup],
    keys: &mut Vec<ResourceKey>,
    connection: &mut SqliteConnection,
) -> Result<HashSet<(String, Token)>, sqlx::Error> {
    let mut crowded = HashSet::new();
    let mut seen: HashSet<ResourceKey> = keys.iter().cloned().collect();
    for lookup in lookups {
        let rows =
            sqlx::query("SELECT resource_type, id FROM token WHERE token = ? AND resource_type = ? LIMIT ?")
                .bind(lookup.token.0)
                .bind(&lookup.resource_type)
                .bind(integer(MOST_BEARERS as u64 + 1))
                .fetch_all(&mut *connection)
                .await?;
        if rows.len() > MOST_BEARERS {
            crowded.insert((lookup.resource_type.clone(), lookup.token));
            continue;
        }
        for row in &rows {
            let found = key(row, 0, 1)?;
            if seen.insert(found.clone()) {
                keys.push(found);
            }
        }
    }
    Ok(crowded)
}

/// Writes what a plan holds, and runs `end` behind it, in as few calls as can be.
pub(super) async fn write(
    plan: &Plan,
    numbers: &mut Numbers,
    end: &str,
    connection: &mut SqliteConnection,
) -> Result<(), sqlx::Error> {
    let rows = plan.rows();
    let matched = numbers.matched_rows(rows, connection).await?;
    let (next, first): (Vec<_>, Vec<_>) = newest(plan).into_iter().partition(|(_, known)| known.is_stored);
    let (added, dropped): (Vec<_>, Vec<_>) = plan
        .token_changes()
        .into_iter()
        .partition(|change| change.is_added);
    let most = [&rows.len(), &matched.len(), &added.len(), &dropped.len()];
    let rounds = most.into_iter().max().map_or(0, |most| most.div_ceil(MANY));
    let mut script = Script::default();
    for round in 0..rounds {
        std::mem::take(&mut script).run(connection).await?;
        script.add_rows(&ADD_VERSIONS, part(rows, round), bind_version)?;
        script.add_rows(&ADD_CURRENT, part(&first, round), bind_current)?;
        script.add_rows(&SET_CURRENT, part(&next, round), bind_current)?;
        script.add_rows(&DROP_TOKENS, part(&dropped, round), bind_token)?;
        script.add_rows(&ADD_TOKENS, part(&added, round), bind_token)?;
        script.add_rows(&ADD_MATCHED, part(&matched, round), bind_matched)?;
    }
    script.add(end);
    script.run(connection).await?;
    if let Some(newest) = rows.last() {
        numbers.last_sequence = newest.version.sequence.0;
        numbers.head = newest.version.sequence.0;
    }
    Ok(())
}

/// The rows of a round of statements.
fn part<R>(rows: &[R], round: usize) -> &[R] {
    rows.chunks(MANY).nth(round).unwrap_or_default()
}

/// Each touched resource's newest row, and what is known of it besides.
fn newest(plan: &Plan) -> Vec<(&NewVersion, &Known)> {
    let newest = |row| plan.newest(row).map(|known| (row, known));
    plan.rows().iter().filter_map(newest).collect()
}

fn bind_version(places: &mut Places<'_>, row: &NewVersion) -> Result<(), sqlx::Error> {
    let version = &row.version;
    let topics = match row.matched.topics.is_empty() {
        true => None,
        false => Some(to_json(&row.matched.topics)?),
    };
    let source = version.source.as_ref();
    places
        .add(integer(version.sequence.0))?
        .add(version.key.resource_type())?
        .add(version.key.id())?
        .add(status_number(version.status))?
        .add(version.last_updated.0)?
        .add(version.created_at.0)?
        .add(row.previous.map(|previous| integer(previous.0)))?
        .add(&version.resource[..])?
        .add(topics)?
        .add(integer(row.matched.topics_known))?
        .add(source.and_then(|source| source.version.as_deref()))?
        .add(source.and_then(|source| source.last_updated).map(|time| time.0))?;
    Ok(())
}

fn bind_current(places: &mut Places<'_>, (row, known): &(&NewVersion, &Known)) -> Result<(), sqlx::Error> {
    let version = &row.version;
    places
        .add(version.key.resource_type())?
        .add(version.key.id())?
        .add(integer(version.sequence.0))?
        .add(version.last_updated.0)?
        .add(is_deleted(version))?
        .add(integer(known.versions))?
        .add(bytes_of(&known.tokens))?;
    Ok(())
}

fn bind_token(places: &mut Places<'_>, change: &TokenChange<'_>) -> Result<(), sqlx::Error> {
    let key = change.key;
    places
        .add(change.token.0)?
        .add(key.resource_type())?
        .add(key.id())?;
    Ok(())
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

fn bind_matched(places: &mut Places<'_>, row: &MatchedRow) -> Result<(), sqlx::Error> {
    places
        .add(integer(row.topic))?
        .add(integer(row.sequence))?
        .add(integer(row.ordinal))?;
    Ok(())
}
