//! The destinations' rows and what the host keeps.

use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use super::super::edit::{Held, Records};
use super::super::{DestinationRecord, Fence, NewDeadLetter};
use super::horizon;
use super::row::{decode, get, integer, json, natural, offset, to_json};
use crate::change::{Offset, Timestamp};

/// The columns that [`held`] reads, in its order.
macro_rules! destination_columns {
    () => {
        "id, uuid, generation, fence, start_transaction, start_sequence, acked_transaction, acked_sequence, \
         next_batch, planned, state, counters, last_errors, created_at, acked_at"
    };
}

/// The rows, within a transaction of this connection.
pub(super) struct Rows<'c> {
    pub(super) connection: &'c mut PgConnection,
    /// The newest offset that is known to be readable.
    pub(super) head: Offset,
}

/// A row of [`destination_columns`].
fn held(row: &PgRow) -> Result<Held, sqlx::Error> {
    let planned: Option<&str> = get(row, 9)?;
    let acked_at: Option<i64> = get(row, 14)?;
    let record = DestinationRecord {
        id: get(row, 0)?,
        uuid: Uuid::parse_str(get(row, 1)?).map_err(decode)?,
        generation: natural(row, 2)?,
        start: offset(row, 4)?,
        offset: offset(row, 6)?,
        next_batch: natural(row, 8)?,
        planned: planned.map(json).transpose()?,
        state: json(get(row, 10)?)?,
        counters: json(get(row, 11)?)?,
        last_errors: json(get(row, 12)?)?,
        created_at: Timestamp(get(row, 13)?),
        acked_at: acked_at.map(Timestamp),
    };
    Ok((Fence(natural(row, 3)?), record))
}

/// All destinations, by id.
pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        destination_columns!(),
        " FROM lakefeed.destination ORDER BY id"
    ))
    .fetch_all(connection)
    .await?;
    rows.iter().map(held).collect()
}

/// A destination by its id, for whoever only looks.
pub(super) async fn find(id: &str, connection: &mut PgConnection) -> Result<Option<Held>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        destination_columns!(),
        " FROM lakefeed.destination WHERE id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(held).transpose()
}

impl Records for Rows<'_> {
    async fn find(&mut self, id: &str) -> Result<Option<Held>, sqlx::Error> {
        let row = sqlx::query(concat!(
            "SELECT ",
            destination_columns!(),
            " FROM lakefeed.destination WHERE id = $1 FOR UPDATE"
        ))
        .bind(id)
        .fetch_optional(&mut *self.connection)
        .await?;
        row.as_ref().map(held).transpose()
    }

    async fn save(&mut self, (fence, record): &Held) -> Result<(), sqlx::Error> {
        sqlx::query(concat!(
            "INSERT INTO lakefeed.destination (",
            destination_columns!(),
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (id) DO UPDATE SET uuid = excluded.uuid, generation = excluded.generation, \
             fence = excluded.fence, start_transaction = excluded.start_transaction, \
             start_sequence = excluded.start_sequence, acked_transaction = excluded.acked_transaction, \
             acked_sequence = excluded.acked_sequence, next_batch = excluded.next_batch, \
             planned = excluded.planned, state = excluded.state, counters = excluded.counters, \
             last_errors = excluded.last_errors, acked_at = excluded.acked_at"
        ))
        .bind(&record.id)
        .bind(record.uuid.to_string())
        .bind(integer(record.generation))
        .bind(integer(fence.0))
        .bind(integer(record.start.transaction))
        .bind(integer(record.start.sequence))
        .bind(integer(record.offset.transaction))
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
        let row = sqlx::query("UPDATE lakefeed.store SET fence = fence + 1 RETURNING fence")
            .fetch_one(&mut *self.connection)
            .await?;
        Ok(Fence(natural(&row, 0)?))
    }

    async fn remove(&mut self, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM lakefeed.destination WHERE id = $1")
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
            "INSERT INTO lakefeed.dead_letter (destination, at, transaction, sequence, resource_type, id, version, \
             code, message, detail, row_in_change, column_name, row_values) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(id)
        .bind(at.0)
        .bind(integer(letter.offset.transaction))
        .bind(integer(letter.offset.sequence))
        .bind(letter.key.resource_type())
        .bind(letter.key.id())
        .bind(integer(letter.version.0))
        .bind(visible(&letter.code))
        .bind(visible(&letter.message))
        .bind(letter.detail.as_deref().map(visible))
        .bind(letter.row.map(integer))
        .bind(letter.column.as_deref().map(visible))
        .bind(letter.rows.as_deref().map(visible))
        .execute(&mut *self.connection)
        .await?;
        Ok(())
    }

    async fn keep(&mut self, space: &str, name: &str, value: &[u8]) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO lakefeed.kept (space, name, value) VALUES ($1, $2, $3) \
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
        sqlx::query("DELETE FROM lakefeed.kept WHERE space = $1 AND name = $2")
            .bind(space)
            .bind(name)
            .execute(&mut *self.connection)
            .await?;
        Ok(())
    }

    async fn head(&mut self, wanted: Offset) -> Result<Offset, sqlx::Error> {
        if wanted <= self.head {
            return Ok(self.head);
        }
        horizon::newest(self.connection).await
    }
}

/// A text without the one character that PostgreSQL cannot hold; a far side's message may bring it.
fn visible(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
