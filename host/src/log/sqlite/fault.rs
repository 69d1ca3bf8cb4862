//! What an SQLite failure means for the caller.

use std::path::{Path, PathBuf};

use super::super::LogError;

/// The primary result codes told apart here, as SQLite numbers them.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const CONSTRAINT: i32 = 19;
    pub(super) const MISMATCH: i32 = 20;
    pub(super) const NOTADB: i32 = 26;
    /// An extended code: the file was moved or deleted under an open connection.
    pub(super) const READONLY_DBMOVED: i32 = 1032;
}

/// Below this many free bytes a failed read or write is taken for a full disk.
const NEARLY_NOTHING: u64 = 1 << 20;

/// The store's file, which errors name and free space is asked of.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The store as messages name it.
    pub(super) fn name(&self) -> String {
        self.0.display().to_string()
    }

    pub(super) fn read_only(&self) -> LogError {
        LogError::ReadOnly { store: self.name() }
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> LogError {
        LogError::Damaged {
            store: self.name(),
            reason: reason.into(),
        }
    }

    /// What a failed statement means. SQLite's own text is left out: it may quote what was written.
    pub(super) fn fault(&self, error: &sqlx::Error) -> LogError {
        match error {
            sqlx::Error::Database(database) => {
                let code = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
                self.fault_of_code(code)
            }
            sqlx::Error::PoolClosed => LogError::Closed,
            sqlx::Error::PoolTimedOut => unavailable("all its connections are busy"),
            sqlx::Error::WorkerCrashed => unavailable("its connection broke"),
            sqlx::Error::Io(error) => self.io(error),
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                self.damaged("a row has another form than this lakefeed writes")
            }
            _ => unavailable("a statement failed"),
        }
    }

    /// What a failed call on a file means.
    pub(super) fn io(&self, error: &std::io::Error) -> LogError {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => self.read_only(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => LogError::Full,
            ErrorKind::AlreadyExists => LogError::Exists { store: self.name() },
            kind => unavailable(&format!("{}: {kind}", self.name())),
        }
    }

    fn fault_of_code(&self, extended: i32) -> LogError {
        if extended == code::READONLY_DBMOVED {
            return unavailable(
                "its file was moved or deleted while it was open; put it back and start again",
            );
        }
        match extended & 0xff {
            code::FULL => LogError::Full,
            code::IOERR if self.is_disk_full() => LogError::Full,
            code::IOERR => unavailable(&format!(
                "reading or writing its file failed, SQLite code {extended}"
            )),
            code::READONLY | code::PERM => self.read_only(),
            code::BUSY | code::LOCKED => unavailable("another program holds its file locked"),
            code::CANTOPEN => unavailable(&format!("{} cannot be opened", self.name())),
            code::NOTADB => self.damaged("it is not an SQLite database"),
            code::TOOBIG => unfit("a value is larger than SQLite allows"),
            code::CONSTRAINT | code::MISMATCH => {
                unfit(&format!("a value breaks the schema, SQLite code {extended}"))
            }
            code::CORRUPT => self.damaged("its file is damaged"),
            _ => unavailable(&format!("a statement failed, SQLite code {extended}")),
        }
    }

    fn is_disk_full(&self) -> bool {
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        rustix::fs::statvfs(folder.unwrap_or(Path::new(".")))
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < NEARLY_NOTHING)
    }
}

fn unavailable(reason: &str) -> LogError {
    LogError::Unavailable {
        reason: reason.to_owned(),
    }
}

fn unfit(reason: &str) -> LogError {
    LogError::Unfit {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: i32, expect: &str) {
        let fault = Place::new(Path::new("/tmp/l.db")).fault_of_code(code).to_string();
        assert!(fault.contains(expect), "{code}: {fault}");
    }

    #[test]
    fn each_result_code_is_answered_by_the_fault_that_fits() {
        check(13, "LOG-003");
        check(8, "/tmp/l.db is read-only");
        check(8 | (3 << 8), "LOG-004");
        check(1032, "moved or deleted");
        check(5, "locked");
        check(10 | (4 << 8), "LOG-005");
        check(11, "LOG-010");
        check(26, "not an SQLite database");
        check(14, "cannot be opened");
        check(1, "SQLite code 1");
    }

    #[test]
    fn what_the_store_can_never_hold_is_not_tried_again() {
        for code in [18, 19, 20, 19 | (8 << 8)] {
            let fault = Place::new(Path::new("/tmp/l.db")).fault_of_code(code);
            assert!(!fault.is_retryable(), "{code}");
            check(code, "LOG-014");
        }
    }
}
