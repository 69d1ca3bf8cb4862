//! Backups and what becomes of them.

use std::sync::Arc;

use super::{Folder, mode, sqlite};
use crate::change::Offset;
use crate::log::sqlite::{SqliteLog, backup, restore};
use crate::log::suite::{Stores, all_changes, key, put, still, version};
use crate::log::{Log, LogError, StoreInfo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_store_in_use_holds_one_moment_of_it() {
    let folder = Folder::new();
    let log = folder.open(still()).await;
    version(&*log, put("first", "x")).await;
    let writer = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for number in 0..300 {
                let pair = vec![put(&format!("a{number}"), "x"), put(&format!("b{number}"), "x")];
                log.write(pair).await.unwrap();
            }
        }
    });
    let copy = folder.file("backup.db");
    let info = backup(&folder.store(), &copy).await.unwrap();
    writer.await.unwrap();
    assert_eq!(mode(&copy), 0o600);
    assert!(!folder.file("backup.db-copy").exists());
    let opened = SqliteLog::open(&copy, still()).await.unwrap();
    let found = all_changes(&opened, Offset::START).await;
    assert_eq!(found.len() as u64, info.versions);
    assert_eq!(found.len() % 2, 1, "no call is halved");
    let all = all_changes(&*log, Offset::START).await;
    assert_eq!(all[..found.len()], found);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_behind_when_it_fails() {
    let folder = Folder::new();
    folder.open(still()).await.close().await;
    let taken = folder.file("taken");
    std::fs::write(&taken, "mine").unwrap();
    let refused = backup(&folder.store(), &taken).await;
    assert!(matches!(refused, Err(LogError::Exists { .. })), "{refused:?}");
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    let text = folder.file("text");
    std::fs::write(&text, "no database ".repeat(100)).unwrap();
    let copy = folder.file("copy.db");
    let refused = backup(&text, &copy).await;
    assert!(matches!(refused, Err(LogError::Damaged { .. })), "{refused:?}");
    let missing = backup(&folder.file("missing.db"), &copy).await;
    assert!(missing.is_err(), "{missing:?}");
    assert!(!folder.file("missing.db").exists());
    assert!(!copy.exists());
}

/// A store with a destination at its end, and its backup.
async fn backed_up(folder: &Folder) -> StoreInfo {
    let log = folder.open(still()).await;
    for id in ["a", "b", "a"] {
        version(&*log, put(id, "x")).await;
    }
    let head = *log.head().borrow();
    log.create_destination("d", head).await.unwrap();
    let info = backup(&folder.store(), &folder.file("backup.db")).await.unwrap();
    log.close().await;
    info
}

#[tokio::test]
async fn a_restored_store_holds_all_and_takes_no_number_of_the_lost_one() {
    let folder = Folder::new();
    let info = backed_up(&folder).await;
    let expected = StoreInfo {
        schema: 1,
        versions: 3,
        resources: 2,
        destinations: 1,
    };
    assert_eq!(info, expected);
    let lost = folder.open(still()).await;
    let lost_version = version(&*lost, put("a", "after the backup")).await;
    let lost_destination = lost.rewind_destination("d", Offset::START).await.unwrap();
    let lost_changes = all_changes(&*lost, Offset::START).await;
    lost.close().await;

    let path = folder.file("restored.db");
    assert_eq!(restore(&folder.file("backup.db"), &path).await.unwrap(), expected);
    assert_eq!(mode(&path), 0o600);
    let log = SqliteLog::open(&path, still()).await.unwrap();
    let head = *log.head().borrow();
    assert_eq!(all_changes(&log, Offset::START).await, lost_changes[..3]);
    assert_eq!(head, lost_changes[2].offset);
    let destination = log.destination("d").await.unwrap().unwrap();
    assert_eq!((destination.offset, destination.generation), (head, 2));
    assert_ne!(destination.uuid, lost_destination.uuid);
    let made = version(&log, put("a", "again")).await;
    assert!(made.sequence.0 > lost_version.sequence.0 + 1_000);
    assert_eq!(log.history_len(&key("a")).await.unwrap(), 3);
}

#[tokio::test]
async fn a_restore_touches_no_store_that_exists_or_is_in_use() {
    let folder = Folder::new();
    backed_up(&folder).await;
    let backup = folder.file("backup.db");
    let refused = restore(&backup, &folder.store()).await;
    assert!(matches!(refused, Err(LogError::Exists { .. })), "{refused:?}");
    let log = folder.open(still()).await;
    let refused = restore(&backup, &folder.store()).await;
    assert!(matches!(refused, Err(LogError::InUse { .. })), "{refused:?}");
    assert_eq!(all_changes(&*log, Offset::START).await.len(), 3);
    std::fs::write(folder.file("gone.db-wal"), "left by a store that is gone").unwrap();
    let refused = restore(&backup, &folder.file("gone.db")).await;
    assert!(matches!(refused, Err(LogError::Exists { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_backup_that_is_damaged_or_newer_is_not_restored() {
    let folder = Folder::new();
    backed_up(&folder).await;
    let good = std::fs::read(folder.file("backup.db")).unwrap();
    let damaged = folder.file("damaged.db");
    let mut bytes = good.clone();
    bytes[4096..2 * 4096].fill(0xa5);
    std::fs::write(&damaged, bytes).unwrap();
    let restored = folder.file("restored.db");
    let refused = restore(&damaged, &restored).await;
    assert!(matches!(refused, Err(LogError::Damaged { .. })), "{refused:?}");
    let newer = folder.file("newer.db");
    std::fs::write(&newer, good).unwrap();
    sqlite(&newer, "PRAGMA user_version = 99").await;
    let refused = restore(&newer, &restored).await;
    assert!(
        matches!(refused, Err(LogError::NewerSchema { found: 99, .. })),
        "{refused:?}"
    );
    assert!(!restored.exists());
}
