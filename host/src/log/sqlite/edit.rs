//! The destinations' rows and what the host keeps.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::super::edit::{Held, Records};
use super::super::{DestinationRecord, Fence, NewDeadLetter};
use super::row::{decode, integer, json, natural, offset, to_json};
use crate::change::{Offset, Timestamp};

/// The rows, within the transaction that the connection is in.
pub(super) struct Rows<'c> {
    pub(super) connection: &'c mut SqliteConnection,
    /// The newest offset of the log.
    pub(super) head: Offset,
}

/// The columns that [`held`] reads, in its order.
macro_rules! destination_columns {
    () => {
        "id, uuid, generation, fence, start, acked, next_batch, planned, state, counters, last_errors, \
         created_at, acked_at"
    };
}

/// A row of [`destination_columns`].
fn held(row: &SqliteRow) -> Result<Held, sqlx::Error> {
    let uuid: &str = row.try_get_unchecked(1)?;
    let planned: Option<&str> = row.try_get_unchecked(7)?;
    let acked_at: Option<i64> = row.try_get_unchecked(12)?;
    let record = DestinationRecord {
        id: row.try_get_unchecked(0)?,
        uuid: Uuid::parse_str(uuid).map_err(decode)?,
        generation: natural(row, 2)?,
        start: offset(natural(row, 4)?),
        offset: offset(natural(row, 5)?),
        next_batch: natural(row, 6)?,
        planned: planned.map(json).transpose()?,
        state: json(row.try_get_unchecked(8)?)?,
        counters: json(row.try_get_unchecked(9)?)?,
        last_errors: json(row.try_get_unchecked(10)?)?,
        created_at: Timestamp(row.try_get_unchecked(11)?),
        acked_at: acked_at.map(Timestamp),
    };
    Ok((Fence(natural(row, 3)?), record))
}

/// All destinations, by id.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        destination_columns!(),
        " FROM destination ORDER BY id"
    ))
    .fetch_all(connection)
    .await?;
    rows.iter().map(held).collect()
}

/// A destination by its id.
pub(super) async fn find(id: &str, connection: &mut SqliteConnection) -> Result<Option<Held>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        destination_columns!(),
        " FROM destination WHERE id = ?"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(held).transpose()
}

impl Records for Rows<'_> {
    async fn find(&mut self, id: &str) -> Result<Option<Held>, sqlx::Error> {
        find(id, self.connection).await
    }

    async fn save(&mut self, (fence, record): &Held) -> Result<(), sqlx::Error> {
        sqlx::query(concat!(
            "INSERT INTO destination (",
            destination_columns!(),
            ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET uuid = excluded.uuid, \
             generation = excluded.generation, fence = excluded.fence, start = excluded.start, \
             acked = excluded.acked, next_batch = excluded.next_batch, planned = excluded.planned, \
             state = excluded.state, counters = excluded.counters, last_errors = excluded.last_errors, \
             acked_at = excluded.acked_at"
        ))
        .bind(&record.id)
        .bind(record.uuid.to_string())
        .bind(integer(record.generation))
        .bind(integer(fence.0))
        .bind(integer(record.start.sequence))
        .bind(integer(record.offset.sequence))
        .bind(integer(record.next_batch))
        .bind(record.planned.as_ref().map(to_json).transpose()?)
        .bind(to_json(&record.state)?)
        .bind(to_json(&record.counters)?)
        .bind(to_json(&record.last_errors)?)
        .bind(record.created_at.0)
        .bind(record.acked_at.map(|time| time.0))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn next_fence(&mut self) -> Result<Fence, sqlx::Error> {
        let row = sqlx::query("UPDATE store SET fence = fence + 1 RETURNING fence")
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(Fence(natural(&row, 0)?))
    }

    async fn remove(&mut self, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM destination WHERE id = ?")
            .bind(id)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn set_aside(
        &mut self,
        id: &str,
        letter: &NewDeadLetter,
        at: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO dead_letter (destination, at, sequence, resource_type, id, version, code, message, detail, \
             row_in_change, column_name, row_values) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(at.0)
        .bind(integer(letter.offset.sequence))
        .bind(letter.key.resource_type())
        .bind(letter.key.id())
        .bind(integer(letter.version.0))
        .bind(&letter.code)
        .bind(&letter.message)
        .bind(letter.detail.as_deref())
        .bind(letter.row.map(integer))
        .bind(letter.column.as_deref())
        .bind(letter.rows.as_deref())
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn keep(&mut self, space: &str, name: &str, value: &[u8]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO kept (space, name, value) VALUES (?, ?, ?) \
             ON CONFLICT (space, name) DO UPDATE SET value = excluded.value",
        )
        .bind(space)
        .bind(name)
        .bind(value)
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn forget(&mut self, space: &str, name: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM kept WHERE space = ? AND name = ?")
            .bind(space)
            .bind(name)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn head(&mut self, _wanted: Offset) -> Result<Offset, sqlx::Error> {
        Ok(self.head)
    }
}
