//! The state on disk: one JSON file, replaced whole.

use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use super::Catalog;

const NAME: &str = "workspace.json";

/// The state that was saved; none if there is none yet.
pub(crate) fn load(folder: &Path) -> Result<Option<Catalog>, Error> {
    match std::fs::read(folder.join(NAME)) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Saves the state, durably; who reads sees the old one or this one.
pub(crate) fn save(folder: &Path, catalog: &Catalog) -> Result<(), Error> {
    let bytes = serde_json::to_vec_pretty(catalog).map_err(Error::other)?;
    let beside = folder.join(format!("{NAME}.new"));
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(NAME))?;
    std::fs::File::open(folder)?.sync_all()
}
