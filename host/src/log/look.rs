//! A look at a store that another process may hold: reads only, takes no lock of a host's.

use super::{DestinationRecord, LogError, Search, StoreUrl, postgres, sqlite};
use crate::change::{Offset, Version};

/// An open look at a store of whichever kind. What it answers is each time as of that moment.
#[derive(Debug)]
pub enum Look {
    /// At an SQLite file.
    Sqlite(sqlite::Look),
    /// At a PostgreSQL database.
    Postgres(postgres::Look),
}

impl Look {
    /// Opens a look at a store, which must exist.
    pub async fn at(store: &StoreUrl) -> Result<Self, LogError> {
        match store {
            StoreUrl::Sqlite(path) => sqlite::Look::at(path).await.map(Self::Sqlite),
            StoreUrl::Postgres(url) => postgres::Look::at(url).await.map(Self::Postgres),
        }
    }

    /// All destinations' records, by id.
    pub async fn destinations(&mut self) -> Result<Vec<DestinationRecord>, LogError> {
        match self {
            Self::Sqlite(look) => look.destinations().await,
            Self::Postgres(look) => look.destinations().await,
        }
    }

    /// Living resources; see [`Log::search`](super::Log::search).
    pub async fn search(&mut self, search: &Search) -> Result<Vec<Version>, LogError> {
        match self {
            Self::Sqlite(look) => look.search(search).await,
            Self::Postgres(look) => look.search(search).await,
        }
    }

    /// How many changes after an offset a topic wanted.
    pub async fn count_changes(&mut self, after: Offset, topic: &str) -> Result<u64, LogError> {
        match self {
            Self::Sqlite(look) => look.count_changes(after, topic).await,
            Self::Postgres(look) => look.count_changes(after, topic).await,
        }
    }

    /// Lets go of the store.
    pub async fn close(self) {
        match self {
            Self::Sqlite(look) => look.close().await,
            Self::Postgres(look) => look.close().await,
        }
    }
}
