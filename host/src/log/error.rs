//! What can go wrong with a store, and what the caller does about it.

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// LOG-001. Another host holds the store, or took it from this one, which then ends. Stop it, or give this host a
    /// store of its own.
    #[error(
        "{store} is in use by another lakefeed host; stop that one or name another `[store] url` [LOG-001]"
    )]
    InUse {
        /// The store, without credentials.
        store: String,
    },
    /// LOG-002. The store was written by a newer lakefeed. Run that version, or restore a backup made before.
    #[error(
        "{store} has schema version {found}, this lakefeed knows {known}; run a newer lakefeed or restore an older backup [LOG-002]"
    )]
    NewerSchema {
        /// The store, without credentials.
        store: String,
        /// Its schema's version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// LOG-003. No space is left. Nothing was written; writing goes on when there is space again.
    #[error("no space left for the store; nothing was written, free some space [LOG-003]")]
    Full,
    /// LOG-004. The store cannot be written, by its file's permissions or its file system's.
    #[error("{store} is read-only; give the host the right to write it [LOG-004]")]
    ReadOnly {
        /// The store, without credentials.
        store: String,
    },
    /// LOG-005. The store cannot be reached or is overloaded at the moment. The same call may succeed later.
    #[error("the store is not available: {reason} [LOG-005]")]
    Unavailable {
        /// What is wrong; holds no data and no credentials.
        reason: String,
    },
    /// LOG-006. Another host took the destination. The caller must stop delivering to it.
    #[error("destination `{id}` was taken by another host or was started again [LOG-006]")]
    Fenced {
        /// The destination.
        id: String,
    },
    /// LOG-007. There is no such destination.
    #[error("there is no destination `{id}` [LOG-007]")]
    NoDestination {
        /// The destination.
        id: String,
    },
    /// LOG-008. There is such a destination already.
    #[error("destination `{id}` exists already [LOG-008]")]
    DestinationExists {
        /// The destination.
        id: String,
    },
    /// LOG-009. The store was closed.
    #[error("the store is closed [LOG-009]")]
    Closed,
    /// LOG-010. The file is not a store of lakefeed's, or it is damaged. Restore a backup.
    #[error("{store} is not a sound lakefeed store: {reason}; restore a backup [LOG-010]")]
    Damaged {
        /// The store, without credentials.
        store: String,
        /// What is wrong; holds no data.
        reason: String,
    },
    /// LOG-011. The file that a backup or a restore would write is there already. Name another one.
    #[error("{store} exists already and is not overwritten; name another file [LOG-011]")]
    Exists {
        /// The file.
        store: String,
    },
    /// LOG-012. A batch or an acknowledgement does not continue from where the destination is. The caller must
    /// take the destination anew and go on from its record.
    #[error("destination `{id}` is at another place than the call says; take it again [LOG-012]")]
    OutOfOrder {
        /// The destination.
        id: String,
    },
    /// LOG-013. The store's URL is not one that this lakefeed can open.
    #[error("`[store] url` {reason} [LOG-013]")]
    Url {
        /// What is wrong with it and what to write; does not repeat it, since it may hold a password.
        reason: String,
    },
    /// LOG-014. The store cannot hold what it was given, and never will. Nothing was written; the caller must give
    /// it something else.
    #[error(
        "the store cannot hold what it was given: {reason}; nothing was written, please report it [LOG-014]"
    )]
    Unfit {
        /// What is wrong with it; holds no data.
        reason: String,
    },
}

impl LogError {
    /// Whether the same call may succeed later without anybody's help, at this host or at the one that has the store now.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full | Self::InUse { .. })
    }
}
