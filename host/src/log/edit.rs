//! The small writes: destinations, their dead letters, and what the host keeps. The same for every store.
//!
//! A store brings [`Records`], its rows as values; what becomes of them is decided here. Each write checks before it
//! writes anything, so a refused one leaves nothing behind in the transaction that it may share.

use super::{
    Ack, BatchBounds, Counters, DestinationRecord, DestinationState, Fence, LastError, LogError,
    NewDeadLetter,
};
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

/// A store's rows, within one transaction that nobody else's edit of the same record runs beside.
pub(super) trait Records: Send {
    /// A destination by its id.
    fn find(&mut self, id: &str) -> impl Future<Output = Result<Option<Held>, sqlx::Error>> + Send;

    /// Writes a destination's record; a new one is added.
    fn save(&mut self, held: &Held) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// A fence that was never given before, to whichever destination.
    fn next_fence(&mut self) -> impl Future<Output = Result<Fence, sqlx::Error>> + Send;

    /// Removes a destination with its dead letters.
    fn remove(&mut self, id: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Adds a dead letter.
    fn set_aside(
        &mut self,
        id: &str,
        letter: &NewDeadLetter,
        at: Timestamp,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Keeps a value under a name; replaces.
    fn keep(
        &mut self,
        space: &str,
        name: &str,
        value: &[u8],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Forgets a kept value.
    fn forget(&mut self, space: &str, name: &str) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The newest offset of the log that readers can be given, or one that is not before `wanted`.
    fn head(&mut self, wanted: Offset) -> impl Future<Output = Result<Offset, sqlx::Error>> + Send;
}

impl Edit {
    /// Does it.
    pub(super) async fn apply<R: Records>(
        &self,
        now: Timestamp,
        records: &mut R,
    ) -> Result<Option<Held>, Failed> {
        match self {
            Self::Create { id, start } => create(id, *start, now, records).await.map(Some),
            Self::Take { id } => {
                let (_, record) = existing(id, records).await?;
                let fence = records.next_fence().await?;
                save((fence, record), records).await
            }
            Self::Drop { id } => Ok(records.remove(id).await.map(|()| None)?),
            Self::Plan { id, fence, batch } => {
                let mut held = held_by(id, *fence, records).await?;
                held.1.plan(*batch)?;
                save(held, records).await
            }
            Self::Ack { id, fence, ack } => acknowledge(id, *fence, ack, records).await,
            Self::Fail {
                id,
                fence,
                error,
                counters,
            } => {
                let mut held = held_by(id, *fence, records).await?;
                held.1.fail(error.clone(), *counters);
                save(held, records).await
            }
            Self::SetState { id, state } => {
                let mut held = existing(id, records).await?;
                held.1.state = state.clone();
                save(held, records).await
            }
            Self::Halt { id, code, message } => {
                let mut held = existing(id, records).await?;
                held.1.halt(code, message);
                save(held, records).await
            }
            Self::Rewind { id, to } => {
                let (_, mut record) = existing(id, records).await?;
                record.rewind(*to);
                let fence = records.next_fence().await?;
                save((fence, record), records).await
            }
            Self::Keep { space, name, value } => Ok(records.keep(space, name, value).await.map(|()| None)?),
            Self::Forget { space, name } => Ok(records.forget(space, name).await.map(|()| None)?),
        }
    }
}

async fn save<R: Records>(held: Held, records: &mut R) -> Result<Option<Held>, Failed> {
    records.save(&held).await?;
    Ok(Some(held))
}

async fn existing<R: Records>(id: &str, records: &mut R) -> Result<Held, Failed> {
    let found = records.find(id).await?;
    Ok(found.ok_or_else(|| LogError::NoDestination { id: id.to_owned() })?)
}

async fn held_by<R: Records>(id: &str, fence: Fence, records: &mut R) -> Result<Held, Failed> {
    let found = existing(id, records).await?;
    match found.0 == fence {
        true => Ok(found),
        false => Err(LogError::Fenced { id: id.to_owned() }.into()),
    }
}

async fn create<R: Records>(
    id: &str,
    start: Offset,
    now: Timestamp,
    records: &mut R,
) -> Result<Held, Failed> {
    if records.find(id).await?.is_some() {
        return Err(LogError::DestinationExists { id: id.to_owned() }.into());
    }
    let held = (
        records.next_fence().await?,
        DestinationRecord::new(id, start, now),
    );
    records.save(&held).await?;
    Ok(held)
}

async fn acknowledge<R: Records>(
    id: &str,
    fence: Fence,
    ack: &Ack,
    records: &mut R,
) -> Result<Option<Held>, Failed> {
    let mut held = held_by(id, fence, records).await?;
    let head = records.head(ack.through).await?;
    held.1.acknowledge(ack, head)?;
    for letter in &ack.dead_letters {
        records.set_aside(id, letter, ack.at).await?;
    }
    save(held, records).await
}
