//! The statements of a commit: what a group touches is read, and what it makes is written, many rows a statement.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgConnection;

use super::super::plan::{Known, NewVersion, Plan, is_deleted};
use super::super::{Lookup, Token};
use super::read;
use super::row::{decode, get, integer, key, limit, status_number, to_json};
use crate::change::{ResourceKey, Version};

/// A statement writes at most so many versions.
const ROWS: usize = 1_000;
/// After this many bytes of resources a statement takes no further version.
const BYTES: usize = 16 << 20;

/// What a transaction finds after it has its locks.
pub(super) struct Found {
    /// The host that may write.
    pub(super) host: i64,
    /// What is added to the server's transaction numbers.
    pub(super) base: i64,
    /// As many new sequences as were asked for, growing.
    pub(super) sequences: Vec<u64>,
    /// The current state of the resources; those that never were are left out.
    pub(super) known: HashMap<ResourceKey, Known>,
}

/// The columns of the current state, one element a resource that is there.
#[derive(Default)]
struct Current {
    places: Vec<i64>,
    sequences: Vec<i64>,
    versions: Vec<i64>,
    tokens: Vec<String>,
}

/// Reads who may write and the resources' current state, and takes new sequences.
pub(super) async fn look_up(
    keys: &[ResourceKey],
    count: usize,
    connection: &mut PgConnection,
) -> Result<Found, sqlx::Error> {
    let row = sqlx::query(
        "SELECT s.host, s.base, ARRAY(SELECT nextval('lakefeed.sequence') FROM generate_series(1, $3)), \
           c.places, c.sequences, c.versions, c.tokens \
         FROM lakefeed.store s, ( \
           SELECT array_agg(w.place) AS places, array_agg(r.sequence) AS sequences, \
             array_agg(r.versions) AS versions, array_agg(coalesce(array_to_string(r.tokens, ','), '')) AS tokens \
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (resource_type, id, place) \
           JOIN lakefeed.resource r ON r.resource_type = w.resource_type AND r.id = w.id) c",
    )
    .bind(keys.iter().map(ResourceKey::resource_type).collect::<Vec<_>>())
    .bind(keys.iter().map(ResourceKey::id).collect::<Vec<_>>())
    .bind(limit(count))
    .fetch_one(&mut *connection)
    .await?;
    let taken: Vec<i64> = get(&row, 2)?;
    let sequences = taken.into_iter().map(u64::try_from).collect::<Result<_, _>>();
    let places: Option<Vec<i64>> = get(&row, 3)?;
    let current = match places {
        Some(places) => Current {
            places,
            sequences: get(&row, 4)?,
            versions: get(&row, 5)?,
            tokens: get(&row, 6)?,
        },
        None => Current::default(),
    };
    Ok(Found {
        host: get(&row, 0)?,
        base: get(&row, 1)?,
        sequences: sequences.map_err(decode)?,
        known: known(keys, &current, connection).await?,
    })
}

async fn known(
    keys: &[ResourceKey],
    current: &Current,
    connection: &mut PgConnection,
) -> Result<HashMap<ResourceKey, Known>, sqlx::Error> {
    let versions = read::versions(&current.sequences, connection).await?;
    let mut newest: HashMap<i64, Version> = HashMap::with_capacity(versions.len());
    for version in versions {
        newest.insert(integer(version.sequence.0), version);
    }
    let mut known = HashMap::with_capacity(newest.len());
    for (at, place) in current.places.iter().enumerate() {
        let key = usize::try_from(place - 1).ok().and_then(|place| keys.get(place));
        let newest = newest.remove(&current.sequences[at]);
        let (Some(key), Some(newest)) = (key, newest) else {
            return Err(sqlx::Error::Decode(
                "a resource's newest version is missing".into(),
            ));
        };
        let resource = Known {
            newest: Some(newest),
            versions: u64::try_from(current.versions[at]).map_err(decode)?,
            tokens: tokens(&current.tokens[at])?,
        };
        known.insert(key.clone(), resource);
    }
    Ok(known)
}

fn tokens(text: &str) -> Result<Vec<Token>, sqlx::Error> {
    let numbers = text.split(',').filter(|number| !number.is_empty());
    numbers
        .map(|number| number.parse().map(Token).map_err(decode))
        .collect()
}

/// Adds the resources that lookups find to those that a group touches.
pub(super) async fn add_found(
    lookups: &[&Lookup],
    keys: &mut Vec<ResourceKey>,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if lookups.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query(
        "SELECT DISTINCT t.resource_type, t.id FROM unnest($1::bigint[], $2::text[]) AS w (token, resource_type) \
         JOIN lakefeed.token t ON t.token = w.token AND t.resource_type = w.resource_type",
    )
    .bind(lookups.iter().map(|lookup| lookup.token.0).collect::<Vec<_>>())
    .bind(lookups.iter().map(|lookup| &*lookup.resource_type).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut seen: HashSet<ResourceKey> = keys.iter().cloned().collect();
    for row in &rows {
        let found = key(row, 0, 1)?;
        if seen.insert(found.clone()) {
            keys.push(found);
        }
    }
    Ok(())
}

/// Writes what a plan holds; answers the number of the transaction. The topics' numbers must be known.
pub(super) async fn write(
    plan: &Plan,
    topics: &HashMap<String, i32>,
    connection: &mut PgConnection,
) -> Result<i64, sqlx::Error> {
    let mut transaction = 0;
    let mut rows = plan.rows();
    while !rows.is_empty() {
        let (part, rest) = rows.split_at(fitting(rows));
        transaction = write_part(part, plan, topics, connection).await?;
        rows = rest;
    }
    write_tokens(plan, connection).await?;
    Ok(transaction)
}

/// How many of the rows go in one statement: at least one.
fn fitting(rows: &[NewVersion]) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for row in rows.iter().take(ROWS) {
        bytes += row.version.resource.len();
        if count > 0 && bytes > BYTES {
            break;
        }
        count += 1;
    }
    count
}

/// One row each: the log's, and the current state's and the topics' beside it.
const WRITE: &str = "WITH place AS MATERIALIZED ( \
       SELECT base + pg_current_xact_id()::text::bigint AS transaction FROM lakefeed.store), \
     current AS ( \
       INSERT INTO lakefeed.resource (resource_type, id, sequence, last_updated, deleted, versions, tokens) \
       SELECT unnest($13::text[]), unnest($14::text[]), unnest($15::bigint[]), unnest($16::bigint[]), \
         unnest($17::boolean[]), unnest($18::bigint[]), string_to_array(unnest($19::text[]), ',')::bigint[] \
       ON CONFLICT (resource_type, id) DO UPDATE SET sequence = excluded.sequence, \
         last_updated = excluded.last_updated, deleted = excluded.deleted, versions = excluded.versions, \
         tokens = excluded.tokens), \
     matching AS ( \
       INSERT INTO lakefeed.matched (transaction, topic, sequence) \
       SELECT place.transaction, unnest($20::integer[]), unnest($21::bigint[]) FROM place), \
     logged AS ( \
       INSERT INTO lakefeed.log (transaction, sequence, resource_type, id, status, last_updated, created_at, \
         previous, resource, topics, topics_known, source_version, source_last_updated) \
       SELECT place.transaction, unnest($1::bigint[]), unnest($2::text[]), unnest($3::text[]), \
         unnest($4::smallint[]), unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]), \
         unnest($8::bytea[]), unnest($9::text[]), unnest($10::bigint[]), unnest($11::text[]), \
         unnest($12::bigint[]) FROM place) \
     SELECT transaction FROM place";

async fn write_part(
    part: &[NewVersion],
    plan: &Plan,
    topics: &HashMap<String, i32>,
    connection: &mut PgConnection,
) -> Result<i64, sqlx::Error> {
    let newest: Vec<(&NewVersion, &Known)> = part
        .iter()
        .filter_map(|row| plan.newest(row).map(|known| (row, known)))
        .collect();
    let matched = matched(part, topics)?;
    let topics = part.iter().map(topics_of).collect::<Result<Vec<_>, _>>()?;
    let source = |row: &'_ NewVersion| row.version.source.clone();
    sqlx::query_scalar(WRITE)
        .bind(each(part, |row| integer(row.version.sequence.0)))
        .bind(each(part, |row| row.version.key.resource_type()))
        .bind(each(part, |row| row.version.key.id()))
        .bind(each(part, |row| status_number(row.version.status)))
        .bind(each(part, |row| row.version.last_updated.0))
        .bind(each(part, |row| row.version.created_at.0))
        .bind(each(part, |row| row.previous.map(|previous| integer(previous.0))))
        .bind(each(part, |row| &row.version.resource[..]))
        .bind(topics)
        .bind(each(part, |row| integer(row.matched.topics_known)))
        .bind(each(part, |row| source(row).and_then(|source| source.version)))
        .bind(each(part, |row| {
            source(row)
                .and_then(|source| source.last_updated)
                .map(|time| time.0)
        }))
        .bind(each(&newest, |(row, _)| row.version.key.resource_type()))
        .bind(each(&newest, |(row, _)| row.version.key.id()))
        .bind(each(&newest, |(row, _)| integer(row.version.sequence.0)))
        .bind(each(&newest, |(row, _)| row.version.last_updated.0))
        .bind(each(&newest, |(row, _)| is_deleted(&row.version)))
        .bind(each(&newest, |(_, known)| integer(known.versions)))
        .bind(each(&newest, |(_, known)| tokens_text(&known.tokens)))
        .bind(each(&matched, |(topic, _)| *topic))
        .bind(each(&matched, |(_, sequence)| *sequence))
        .fetch_one(connection)
        .await
}

/// One column of many rows.
fn each<'r, R, T>(rows: &'r [R], column: impl FnMut(&'r R) -> T) -> Vec<T> {
    rows.iter().map(column).collect()
}

fn topics_of(row: &NewVersion) -> Result<Option<String>, sqlx::Error> {
    match row.matched.topics.is_empty() {
        true => Ok(None),
        false => to_json(&row.matched.topics).map(Some),
    }
}

fn tokens_text(tokens: &[Token]) -> Option<String> {
    let text = || {
        tokens
            .iter()
            .map(|token| token.0.to_string())
            .collect::<Vec<_>>()
            .join(",")
    };
    (!tokens.is_empty()).then(text)
}

/// The topic's number and the sequence of each match, each once.
fn matched(part: &[NewVersion], topics: &HashMap<String, i32>) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let mut matched = Vec::new();
    for row in part {
        let wanted: HashSet<&String> = row.matched.topics.iter().collect();
        for id in wanted {
            let number = topics
                .get(id)
                .ok_or_else(|| sqlx::Error::Encode("a topic has no number".into()))?;
            matched.push((*number, integer(row.version.sequence.0)));
        }
    }
    Ok(matched)
}

async fn write_tokens(plan: &Plan, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let changes = plan.token_changes();
    for (is_added, statement) in [
        (
            false,
            "DELETE FROM lakefeed.token t USING unnest($1::bigint[], $2::text[], $3::text[]) AS w (token, resource_type, id) \
             WHERE t.token = w.token AND t.resource_type = w.resource_type AND t.id = w.id",
        ),
        (
            true,
            "INSERT INTO lakefeed.token (token, resource_type, id) \
             SELECT unnest($1::bigint[]), unnest($2::text[]), unnest($3::text[]) ON CONFLICT DO NOTHING",
        ),
    ] {
        let some: Vec<_> = changes
            .iter()
            .filter(|change| change.is_added == is_added)
            .collect();
        if some.is_empty() {
            continue;
        }
        sqlx::query(statement)
            .bind(each(&some, |change| change.token.0))
            .bind(each(&some, |change| change.key.resource_type()))
            .bind(each(&some, |change| change.key.id()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The topics of a plan that have no number yet.
pub(super) fn unnumbered(plan: &Plan, topics: &HashMap<String, i32>) -> Vec<String> {
    let wanted = plan.rows().iter().flat_map(|row| &row.matched.topics);
    let missing: HashSet<&String> = wanted.filter(|id| !topics.contains_key(*id)).collect();
    missing.into_iter().cloned().collect()
}

/// Gives topics their numbers, outside of any transaction of ours: two writers that meet here wait for no lock of each
/// other. Answers all numbers.
pub(super) async fn number(
    ids: &[String],
    connection: &mut PgConnection,
) -> Result<HashMap<String, i32>, sqlx::Error> {
    sqlx::query("INSERT INTO lakefeed.topic (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING")
        .bind(ids)
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::query("SELECT id, number FROM lakefeed.topic")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}
