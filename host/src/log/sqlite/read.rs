//! The reads of resources and of what is kept beside them.

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite};

use super::super::{DeadLetter, Lookup, NewDeadLetter, Search, SearchOrder};
use super::row::{integer, key, log_columns, maybe_natural, natural, offset, version};
use crate::change::{ResourceKey, Sequence, Timestamp, Version};

/// A resource's newest version.
pub(super) async fn current(
    wanted: &ResourceKey,
    connection: &mut SqliteConnection,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM resource r CROSS JOIN log l ON l.sequence = r.sequence WHERE r.resource_type = ? AND r.id = ?"
    ))
    .bind(wanted.resource_type())
    .bind(wanted.id())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(version).transpose()
}

/// One version by its number.
pub(super) async fn one_version(
    wanted: &ResourceKey,
    sequence: Sequence,
    connection: &mut SqliteConnection,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM log l WHERE l.sequence = ? AND l.resource_type = ? AND l.id = ?"
    ))
    .bind(integer(sequence.0))
    .bind(wanted.resource_type())
    .bind(wanted.id())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(version).transpose()
}

/// Living resources of a type, in the order that is asked for.
pub(super) async fn search(
    wanted: &Search,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(concat!(
        "SELECT ",
        log_columns!(),
        " FROM resource r CROSS JOIN log l ON l.sequence = r.sequence"
    ));
    push_conditions(&mut query, wanted)?;
    push_order(&mut query, wanted);
    query.push(" LIMIT ").push_bind(limit(wanted.count));
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(version).collect()
}

/// How many a search finds without its paging.
pub(super) async fn search_total(
    wanted: &Search,
    connection: &mut SqliteConnection,
) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT count(*) FROM resource r");
    push_conditions(&mut query, wanted)?;
    natural(&query.build().fetch_one(connection).await?, 0)
}

fn push_conditions(query: &mut QueryBuilder<Sqlite>, wanted: &Search) -> Result<(), sqlx::Error> {
    query
        .push(" WHERE NOT r.deleted AND r.resource_type = ")
        .push_bind(wanted.resource_type.clone());
    if let Some(ids) = &wanted.ids {
        // One place for any number of ids: the count of places is bounded, and the statement stays the same.
        query
            .push(" AND r.id IN (SELECT value FROM json_each(")
            .push_bind(super::row::to_json(ids)?)
            .push("))");
    }
    if let Some(from) = wanted.updated_from {
        query.push(" AND r.last_updated >= ").push_bind(from.0);
    }
    if let Some(before) = wanted.updated_before {
        query.push(" AND r.last_updated < ").push_bind(before.0);
    }
    Ok(())
}

fn push_order(query: &mut QueryBuilder<Sqlite>, wanted: &Search) {
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

/// What a lookup finds, by id.
pub(super) async fn look_up(
    wanted: &Lookup,
    count: usize,
    connection: &mut SqliteConnection,
) -> Result<Vec<Version>, sqlx::Error> {
    let mut found = Vec::new();
    let mut rows = sqlx::query(concat!(
        "SELECT ",
        log_columns!(),
        " FROM token t CROSS JOIN resource r ON r.resource_type = t.resource_type AND r.id = t.id \
         CROSS JOIN log l ON l.sequence = r.sequence \
         WHERE t.token = ? AND t.resource_type = ? AND NOT r.deleted ORDER BY t.id"
    ))
    .bind(wanted.token.0)
    .bind(&wanted.resource_type)
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let candidate = version(&row)?;
        if (wanted.matches)(&candidate) {
            found.push(candidate);
        }
        if found.len() >= count {
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
    connection: &mut SqliteConnection,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT number, at, sequence, resource_type, id, version, code, message, detail, row_in_change, \
         column_name, row_values FROM dead_letter WHERE destination = ? AND number > ? ORDER BY number LIMIT ?",
    )
    .bind(id)
    .bind(integer(after))
    .bind(limit(count))
    .fetch_all(connection)
    .await?;
    rows.iter().map(dead_letter).collect()
}

/// A kept value.
pub(super) async fn kept(
    space: &str,
    name: &str,
    connection: &mut SqliteConnection,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM kept WHERE space = ? AND name = ?")
        .bind(space)
        .bind(name)
        .fetch_optional(connection)
        .await
}

/// All that is kept in a space, by name.
pub(super) async fn all_kept(
    space: &str,
    connection: &mut SqliteConnection,
) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT name, value FROM kept WHERE space = ? ORDER BY name")
        .bind(space)
        .fetch_all(connection)
        .await
}

/// Counts all rows of a table; the condition is one of ours.
pub(super) async fn count(from: &'static str, connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let statement = AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
    natural(&sqlx::query(statement).fetch_one(connection).await?, 0)
}

fn dead_letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    Ok(DeadLetter {
        number: natural(row, 0)?,
        at: Timestamp(row.try_get_unchecked(1)?),
        letter: NewDeadLetter {
            offset: offset(natural(row, 2)?),
            key: key(row, 3, 4)?,
            version: Sequence(natural(row, 5)?),
            code: row.try_get_unchecked(6)?,
            message: row.try_get_unchecked(7)?,
            detail: row.try_get_unchecked(8)?,
            row: maybe_natural(row, 9)?,
            column: row.try_get_unchecked(10)?,
            rows: row.try_get_unchecked(11)?,
        },
    })
}

pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
