//! A look at a store that another process may hold: reads only, takes no lock of a host's.

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::super::{DestinationRecord, LogError, Search};
use super::fault::Place;
use super::url::{PostgresUrl, READER};
use super::{edit, read, schema};
use crate::change::{Offset, Version};

/// An open look. What it answers is each time as of that moment.
#[derive(Debug)]
pub struct Look {
    place: Place,
    connection: PgConnection,
}

impl Look {
    /// Opens a look at a store, which must exist.
    pub async fn at(store: &PostgresUrl) -> Result<Self, LogError> {
        let place = Place::new(store);
        let mut connection = store.connect(READER).await.map_err(|error| place.fault(&error))?;
        match schema::version(&place, &mut connection).await? {
            0 => Err(place.damaged("its database has no schema `lakefeed`")),
            _ => Ok(Self { place, connection }),
        }
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
        read::count_changes(after, topic, &mut self.connection)
            .await
            .map_err(|error| self.place.fault(&error))
    }

    /// Lets go of the store.
    pub async fn close(self) {
        // It only read, so nothing is lost when it does not close well.
        self.connection.close().await.ok();
    }
}
