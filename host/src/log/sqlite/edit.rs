//! The small writes: destinations, their dead letters, and what the host keeps.
//!
//! Each checks before it writes anything, so a refused one leaves nothing behind in the commit that it shares.

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use uuid::Uuid;

use super::super::{
    Ack, BatchBounds, Counters, DestinationRecord, DestinationState, Fence, LastError, LogError,
    NewDeadLetter,
};
use super::row::{decode, integer, json, natural, offset, to_json};
use crate::change::{Offset, Timestamp};

/// One small write.
#[derive(Debug)]
pub(super) enum Edit {
    Create {
        id: String,
        start: Offset,
    },
    Take {
        id: String,
    },
    Drop {
        id: String,
    },
    Plan {
        id: String,
        fence: Fence,
        batch: BatchBounds,
    },
    Ack {
        id: String,
        fence: Fence,
        ack: Ack,
    },
    Fail {
        id: String,
        fence: Fence,
        error: LastError,
        counters: Counters,
    },
    SetState {
        id: String,
        state: DestinationState,
    },
    Halt {
        id: String,
        code: String,
        message: String,
    },
    Rewind {
        id: String,
        to: Offset,
    },
    Keep {
        space: String,
        name: String,
        value: Vec<u8>,
    },
    Forget {
        space: String,
        name: String,
    },
}

/// A destination's record and the fence that holds it.
pub(super) type Held = (Fence, DestinationRecord);

/// What an edit answers: the record as it left it, where it is about one.
pub(super) type Edited = Result<Option<Held>, LogError>;

/// Why an edit did not happen.
pub(super) enum Failed {
    /// It was refused; nothing was written.
    Refused(LogError),
    /// The store failed; the transaction cannot go on.
    Store(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

impl From<LogError> for Failed {
    fn from(error: LogError) -> Self {
        Self::Refused(error)
    }
}

/// What an edit needs to know of the world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) now: Timestamp,
    /// The newest offset of the log.
    pub(super) head: Offset,
}

impl Edit {
    /// Does it within the transaction that the connection is in.
    pub(super) async fn apply(
        &self,
        around: Around,
        connection: &mut SqliteConnection,
    ) -> Result<Option<Held>, Failed> {
        match self {
            Self::Create { id, start } => create(id, *start, around, connection).await.map(Some),
            Self::Take { id } => take(id, connection).await.map(Some),
            Self::Drop { id } => drop_destination(id, connection).await,
            Self::Plan { id, fence, batch } => {
                let mut held = held_by(id, *fence, connection).await?;
                held.1.plan(*batch)?;
                save(held, connection).await
            }
            Self::Ack { id, fence, ack } => acknowledge(id, *fence, ack, around, connection).await,
            Self::Fail {
                id,
                fence,
                error,
                counters,
            } => {
                let mut held = held_by(id, *fence, connection).await?;
                held.1.fail(error.clone(), *counters);
                save(held, connection).await
            }
            Self::SetState { id, state } => {
                let mut held = existing(id, connection).await?;
                held.1.state = state.clone();
                save(held, connection).await
            }
            Self::Halt { id, code, message } => {
                let mut held = existing(id, connection).await?;
                held.1.halt(code, message);
                save(held, connection).await
            }
            Self::Rewind { id, to } => {
                let (_, mut record) = existing(id, connection).await?;
                record.rewind(*to);
                save((next_fence(connection).await?, record), connection).await
            }
            Self::Keep { space, name, value } => keep(space, name, value, connection).await,
            Self::Forget { space, name } => forget(space, name, connection).await,
        }
    }
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

/// Writes a destination's record; a new one is added.
pub(super) async fn save(
    (fence, record): Held,
    connection: &mut SqliteConnection,
) -> Result<Option<Held>, Failed> {
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
    .execute(connection)
    .await?;
    Ok(Some((fence, record)))
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

async fn existing(id: &str, connection: &mut SqliteConnection) -> Result<Held, Failed> {
    let found = find(id, connection).await?;
    Ok(found.ok_or_else(|| LogError::NoDestination { id: id.to_owned() })?)
}

async fn held_by(id: &str, fence: Fence, connection: &mut SqliteConnection) -> Result<Held, Failed> {
    let found = existing(id, connection).await?;
    match found.0 == fence {
        true => Ok(found),
        false => Err(LogError::Fenced { id: id.to_owned() }.into()),
    }
}

async fn create(
    id: &str,
    start: Offset,
    around: Around,
    connection: &mut SqliteConnection,
) -> Result<Held, Failed> {
    if find(id, connection).await?.is_some() {
        return Err(LogError::DestinationExists { id: id.to_owned() }.into());
    }
    let held = (
        next_fence(connection).await?,
        DestinationRecord::new(id, start, around.now),
    );
    save(held.clone(), connection).await?;
    Ok(held)
}

async fn take(id: &str, connection: &mut SqliteConnection) -> Result<Held, Failed> {
    let (_, record) = existing(id, connection).await?;
    let held = (next_fence(connection).await?, record);
    save(held.clone(), connection).await?;
    Ok(held)
}

/// A fence that was never given before, to whichever destination.
async fn next_fence(connection: &mut SqliteConnection) -> Result<Fence, Failed> {
    let row = sqlx::query("UPDATE store SET fence = fence + 1 RETURNING fence")
        .fetch_one(connection)
        .await?;
    Ok(Fence(natural(&row, 0)?))
}

async fn drop_destination(id: &str, connection: &mut SqliteConnection) -> Result<Option<Held>, Failed> {
    sqlx::query("DELETE FROM destination WHERE id = ?")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(None)
}

async fn acknowledge(
    id: &str,
    fence: Fence,
    ack: &Ack,
    around: Around,
    connection: &mut SqliteConnection,
) -> Result<Option<Held>, Failed> {
    let mut held = held_by(id, fence, connection).await?;
    held.1.acknowledge(ack, around.head)?;
    for letter in &ack.dead_letters {
        set_aside(id, letter, ack.at, connection).await?;
    }
    save(held, connection).await
}

async fn set_aside(
    id: &str,
    letter: &NewDeadLetter,
    at: Timestamp,
    connection: &mut SqliteConnection,
) -> Result<(), Failed> {
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
    .execute(connection)
    .await?;
    Ok(())
}

async fn keep(
    space: &str,
    name: &str,
    value: &[u8],
    connection: &mut SqliteConnection,
) -> Result<Option<Held>, Failed> {
    sqlx::query(
        "INSERT INTO kept (space, name, value) VALUES (?, ?, ?) \
         ON CONFLICT (space, name) DO UPDATE SET value = excluded.value",
    )
    .bind(space)
    .bind(name)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(None)
}

async fn forget(space: &str, name: &str, connection: &mut SqliteConnection) -> Result<Option<Held>, Failed> {
    sqlx::query("DELETE FROM kept WHERE space = ? AND name = ?")
        .bind(space)
        .bind(name)
        .execute(connection)
        .await?;
    Ok(None)
}
