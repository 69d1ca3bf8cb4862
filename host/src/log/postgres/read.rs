//! The reads of resources and of what is kept beside them.
//!
//! What is found is read in two steps: first the sequences, from the current state, then the log's rows by their
//! sequences. The second step then opens the partitions that hold them and no other.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Postgres, QueryBuilder};

use super::super::plan::MOST_OTHER_BYTES;
use super::super::{DeadLetter, Lookup, NewDeadLetter, Search, SearchOrder};
use super::changes;
use super::row::{get, integer, key, limit, log_columns, maybe_natural, natural, offset, version};
use crate::change::{Offset, ResourceKey, Sequence, Timestamp, Version};

/// How many rows of the log are asked for in one statement.
const TOGETHER: usize = 500;

/// How often a read is begun anew whose versions gave way between its two steps.
const TRIES: usize = 5;

/// A resource's newest version.
pub(super) async fn current(
    wanted: &ResourceKey,
    connection: &mut PgConnection,
) -> Result<Option<Version>, sqlx::Error> {
    for _ in 0..TRIES {
        let Some(sequence) = newest(wanted, connection).await? else {
            return Ok(None);
        };
        if let Some(version) = one_version(wanted, Sequence(sequence), connection).await? {
            return Ok(Some(version));
        }
    }
    Err(gone())
}

/// The newest versions of resources that no write touches; none for those that never were. What gave way between the
/// two steps is left out, and so is what is too much.
pub(super) async fn others(
    keys: Vec<ResourceKey>,
    connection: &mut PgConnection,
) -> Result<Vec<(ResourceKey, Option<Version>)>, sqlx::Error> {
    let mut found = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for part in keys.chunks(TOGETHER) {
        let newest = newest_of(part, connection).await?;
        let known: Vec<i64> = newest.iter().flatten().copied().collect();
        let versions = versions(&known, connection).await?;
        bytes += versions
            .iter()
            .map(|version| version.resource.len())
            .sum::<usize>();
        let mut by_sequence: HashMap<i64, Version> = versions
            .into_iter()
            .map(|version| (integer(version.sequence.0), version))
            .collect();
        for (key, sequence) in part.iter().zip(newest) {
            match sequence {
                None => found.push((key.clone(), None)),
                Some(sequence) => {
                    let version = by_sequence.remove(&sequence);
                    found.extend(version.map(|version| (key.clone(), Some(version))));
                }
            }
        }
        if bytes >= MOST_OTHER_BYTES {
            break;
        }
    }
    Ok(found)
}

/// The sequences of resources' newest versions, in the order of the keys.
async fn newest_of(
    keys: &[ResourceKey],
    connection: &mut PgConnection,
) -> Result<Vec<Option<i64>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT r.sequence FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (resource_type, id, place) \
         LEFT JOIN lakefeed.resource r ON r.resource_type = w.resource_type AND r.id = w.id ORDER BY w.place",
    )
    .bind(keys.iter().map(ResourceKey::resource_type).collect::<Vec<_>>())
    .bind(keys.iter().map(ResourceKey::id).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Newest versions that are missing again and again.
fn gone() -> sqlx::Error {
    sqlx::Error::Protocol("what was found was replaced again and again".to_owned())
}

pub(super) async fn newest(
    wanted: &ResourceKey,
    connection: &mut PgConnection,
) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query("SELECT sequence FROM lakefeed.resource WHERE resource_type = $1 AND id = $2")
        .bind(wanted.resource_type())
        .bind(wanted.id())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(|row| natural(row, 0)).transpose()
}

/// One version by its number.
pub(super) async fn one_version(
    wanted: &ResourceKey,
    sequence: Sequence,
    connection: &mut PgConnection,
) -> Result<Option<Version>, sqlx::Error> {
    let row = one_row(wanted, sequence, connection).await?;
    row.as_ref().map(version).transpose()
}

pub(super) async fn one_row(
    wanted: &ResourceKey,
    sequence: Sequence,
    connection: &mut PgConnection,
) -> Result<Option<PgRow>, sqlx::Error> {
    sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM lakefeed.log l WHERE l.sequence = $1 AND l.resource_type = $2 AND l.id = $3"
    ))
    .bind(integer(sequence.0))
    .bind(wanted.resource_type())
    .bind(wanted.id())
    .fetch_optional(connection)
    .await
}

/// The versions of these numbers, in this order; those that are gone are left out.
pub(super) async fn versions(
    sequences: &[i64],
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    by_number(sequences, version, connection).await
}

/// The log's rows of these numbers, in this order, as whatever they are read as; those that are gone are left out.
pub(super) async fn by_number<T>(
    sequences: &[i64],
    read: fn(&PgRow) -> Result<T, sqlx::Error>,
    connection: &mut PgConnection,
) -> Result<Vec<T>, sqlx::Error> {
    let mut found = Vec::with_capacity(sequences.len());
    for part in sequences.chunks(TOGETHER) {
        let rows = sqlx::query(AssertSqlSafe(versions_of(part)))
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        let mut by_sequence = HashMap::with_capacity(rows.len());
        for row in &rows {
            by_sequence.insert(get::<i64>(row, 0)?, read(row)?);
        }
        found.extend(part.iter().filter_map(|sequence| by_sequence.remove(sequence)));
    }
    Ok(found)
}

/// The statement that reads rows of the log by their sequences. They are part of it: partitions are left out by what a
/// list says when the plan is made, never by what it is given later.
pub(super) fn versions_of(sequences: &[i64]) -> String {
    let list: Vec<String> = sequences.iter().map(ToString::to_string).collect();
    format!(
        concat!(
            "SELECT ",
            log_columns!(),
            " FROM lakefeed.log l WHERE l.sequence = ANY('{{{}}}'::bigint[])"
        ),
        list.join(",")
    )
}

/// How many changes behind an offset a topic wanted, as of one moment: partitions give way before it or after it.
pub(super) async fn count_changes(
    after: Offset,
    topic: &str,
    connection: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let mut moment = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    // Before the moment is taken: no partition is replaced any more.
    sqlx::raw_sql("LOCK TABLE ONLY lakefeed.matched IN ACCESS SHARE MODE")
        .execute(&mut *moment)
        .await?;
    let counted = changes::count_changes(after, topic, &mut moment).await?;
    moment.commit().await?;
    Ok(counted)
}

/// Living resources of a type, in the order that is asked for.
pub(super) async fn search(
    wanted: &Search,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    for _ in 0..TRIES {
        if let Some(found) = search_once(wanted, connection).await? {
            return Ok(found);
        }
    }
    Err(gone())
}

/// None where one that was found had given way before it was read.
async fn search_once(
    wanted: &Search,
    connection: &mut PgConnection,
) -> Result<Option<Vec<Version>>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT r.sequence FROM lakefeed.resource r");
    push_conditions(&mut query, wanted);
    push_order(&mut query, wanted);
    query.push(" LIMIT ").push_bind(limit(wanted.count));
    let rows = query.build().fetch_all(&mut *connection).await?;
    let sequences: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let found = versions(&sequences, connection).await?;
    Ok((found.len() == sequences.len()).then_some(found))
}

/// How many a search finds without its paging.
pub(super) async fn search_total(wanted: &Search, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("SELECT count(*) FROM lakefeed.resource r");
    push_conditions(&mut query, wanted);
    natural(&query.build().fetch_one(connection).await?, 0)
}

fn push_conditions(query: &mut QueryBuilder<Postgres>, wanted: &Search) {
    query
        .push(" WHERE NOT r.deleted AND r.resource_type = ")
        .push_bind(wanted.resource_type.clone());
    if let Some(ids) = &wanted.ids {
        query.push(" AND r.id = ANY(").push_bind(ids.clone()).push(")");
    }
    if let Some(from) = wanted.updated_from {
        query.push(" AND r.last_updated >= ").push_bind(from.0);
    }
    if let Some(before) = wanted.updated_before {
        query.push(" AND r.last_updated < ").push_bind(before.0);
    }
}

fn push_order(query: &mut QueryBuilder<Postgres>, wanted: &Search) {
    let (behind, order) = match wanted.order {
        SearchOrder::Id => (None, "r.id"),
        SearchOrder::OldestFirst => (Some(">"), "r.last_updated, r.id"),
        SearchOrder::NewestFirst => (Some("<"), "r.last_updated DESC, r.id"),
    };
    match (&wanted.after, behind) {
        (None, _) => {}
        (Some(place), None) => {
            query.push(" AND r.id > ").push_bind(place.id.clone());
        }
        (Some(place), Some(behind)) => {
            // The first condition lets the index begin at the place, the second is exact.
            let time = place.last_updated.0;
            query
                .push(format!(" AND r.last_updated {behind}= "))
                .push_bind(time);
            query
                .push(format!(" AND (r.last_updated {behind} "))
                .push_bind(time);
            query.push(" OR r.id > ").push_bind(place.id.clone()).push(")");
        }
    }
    query.push(" ORDER BY ").push(order);
}

/// What a lookup finds, by id. The candidates are read a page at a time: a token may be borne by many.
pub(super) async fn look_up(
    wanted: &Lookup,
    count: usize,
    connection: &mut PgConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let mut found = Vec::new();
    let (mut after, mut tries) = (String::new(), 0);
    while found.len() < count {
        let rows = sqlx::query(
            "SELECT r.sequence, t.id FROM lakefeed.token t \
             JOIN lakefeed.resource r ON r.resource_type = t.resource_type AND r.id = t.id \
             WHERE t.token = $1 AND t.resource_type = $2 AND t.id > $3 AND NOT r.deleted ORDER BY t.id LIMIT $4",
        )
        .bind(wanted.token.0)
        .bind(&wanted.resource_type)
        .bind(&after)
        .bind(limit(TOGETHER))
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else { break };
        let sequences: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let candidates = versions(&sequences, connection).await?;
        if candidates.len() < sequences.len() {
            tries += 1;
            match tries < TRIES {
                true => continue,
                false => return Err(gone()),
            }
        }
        after = get(last, 1)?;
        let matching = candidates.into_iter().filter(|version| (wanted.matches)(version));
        found.extend(matching.take(count - found.len()));
        if rows.len() < TOGETHER {
            break;
        }
    }
    Ok(found)
}

/// A destination's dead letters, oldest first.
pub(super) async fn dead_letters(
    id: &str,
    after: u64,
    count: usize,
    connection: &mut PgConnection,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT number, at, transaction, sequence, resource_type, id, version, code, message, detail, \
         row_in_change, column_name, row_values FROM lakefeed.dead_letter \
         WHERE destination = $1 AND number > $2 ORDER BY number LIMIT $3",
    )
    .bind(id)
    .bind(integer(after))
    .bind(limit(count))
    .fetch_all(connection)
    .await?;
    rows.iter().map(dead_letter).collect()
}

fn dead_letter(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    Ok(DeadLetter {
        number: natural(row, 0)?,
        at: Timestamp(get(row, 1)?),
        letter: NewDeadLetter {
            offset: offset(row, 2)?,
            key: key(row, 4, 5)?,
            version: Sequence(natural(row, 6)?),
            code: get(row, 7)?,
            message: get(row, 8)?,
            detail: get(row, 9)?,
            row: maybe_natural(row, 10)?,
            column: get(row, 11)?,
            rows: get(row, 12)?,
        },
    })
}

/// A kept value.
pub(super) async fn kept(
    space: &str,
    name: &str,
    connection: &mut PgConnection,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM lakefeed.kept WHERE space = $1 AND name = $2")
        .bind(space)
        .bind(name)
        .fetch_optional(connection)
        .await
}

/// All that is kept in a space, by name.
pub(super) async fn all_kept(
    space: &str,
    connection: &mut PgConnection,
) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT name, value FROM lakefeed.kept WHERE space = $1 ORDER BY name")
        .bind(space)
        .fetch_all(connection)
        .await
}
