//! A look at a store that another process may hold: reads only, takes no lock of a host's.

use std::path::Path;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::super::{DestinationRecord, LogError, Search};
use super::backup::{check_schema, connect};
use super::fault::Place;
use super::{changes, edit, read};
use crate::change::{Offset, Version};

/// An open look. What it answers is each time as of that moment.
#[derive(Debug)]
pub struct Look {
    place: Place,
    connection: SqliteConnection,
}

impl Look {
    /// Opens a look at a store, which must exist.
    pub async fn at(store: &Path) -> Result<Self, LogError> {
        let place = Place::new(store);
        // SQLite would rather make a store than miss one.
        std::fs::metadata(store).map_err(|error| place.io(&error))?;
        let mut connection = connect(&place).await?;
        check_schema(&place, &mut connection).await?;
        Ok(Self { place, connection })
    }

    /// All destinations' records, by id.
    pub async fn destinations(&mut self) -> Result<Vec<DestinationRecord>, LogError> {
        let all = edit::all(&mut self.connection)
            .await
            .map_err(|error| self.place.fault(&error))?;
        Ok(all.into_iter().map(|(_, record)| record).collect())
    }

    /// Living resources; see [`Log::search`](super::super::Log::search).
    pub async fn search(&mut self, search: &Search) -> Result<Vec<Version>, LogError> {
        read::search(search, &mut self.connection)
            .await
            .map_err(|error| self.place.fault(&error))
    }

    /// How many changes after an offset a topic wanted.
    pub async fn count_changes(&mut self, after: Offset, topic: &str) -> Result<u64, LogError> {
        changes::count_changes(after, topic, &mut self.connection)
            .await
            .map_err(|error| self.place.fault(&error))
    }

    /// Lets go of the store.
    pub async fn close(self) {
        // It only read, so nothing is lost when it does not close well.
        self.connection.close().await.ok();
    }
}
