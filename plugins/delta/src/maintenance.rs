//! What keeps a table quick to open: checkpoints, the removal of log entries that have expired, a warning when data
//! files pile up. None of it is needed for a batch to be durable, so a failure here is a line in the log and no more.

use std::time::Duration;

use chrono::Utc;
use deltalake::checkpoints::cleanup_expired_logs_for;
use object_store::path::Path;
use serde::Deserialize;

use crate::DeltaError;
use crate::table::{Table, with_kernel};

/// So many data files are read slowly: each costs a reader a request.
pub(crate) const MANY_FILES: u64 = 10_000;

/// How many commits lie between checkpoints, unless the table says otherwise.
const CHECKPOINT_INTERVAL: u64 = 100;

/// How long log entries are kept, unless the table says otherwise.
const LOG_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Does what is due after a commit.
pub(crate) async fn after_commit(table: &mut Table, added: u64) {
    warn_of_many_files(table, added);
    if !is_due(table) {
        return;
    }
    if let Err(error) = checkpoint(table).await {
        tracing::warn!(version = table.version, %error, "no checkpoint was written; the log stays longer to read");
    }
}

/// Says so once when the limit is crossed, and again at every further thousand.
pub(crate) fn warn_of_many_files(table: &Table, added: u64) {
    let crossed = |count: u64| count / 1000;
    if table.files >= MANY_FILES && (added == 0 || crossed(table.files) > crossed(table.files - added)) {
        tracing::warn!(
            files = table.files,
            "the table has many data files, which makes reading slow: compact it (OPTIMIZE) [DELTA-040]"
        );
    }
}

fn is_due(table: &Table) -> bool {
    let interval = table
        .metadata
        .property("delta.checkpointInterval")
        .and_then(|text| text.parse().ok());
    let interval = interval
        .filter(|interval| *interval > 0)
        .unwrap_or(CHECKPOINT_INTERVAL);
    let commits = table.checkpoint.map_or(table.version + 1, |checkpoint| {
        table.version.saturating_sub(checkpoint)
    });
    commits >= interval
}

async fn checkpoint(table: &mut Table) -> Result<(), DeltaError> {
    // Another writer may have done it already.
    table.checkpoint = hinted(table).await.max(table.checkpoint);
    if !is_due(table) {
        return Ok(());
    }
    let version = table.version;
    with_kernel(&table.storage, Some(version), |snapshot, engine| {
        snapshot.checkpoint(engine, None).map(drop)
    })
    .await?;
    table.checkpoint = Some(version);
    tracing::debug!(version, "a checkpoint was written");
    clean_log(table).await
}

/// The version that `_last_checkpoint` names.
async fn hinted(table: &Table) -> Option<u64> {
    #[derive(Deserialize)]
    struct Hint {
        version: u64,
    }
    let bytes = table
        .storage
        .read(&Path::from("_delta_log/_last_checkpoint"))
        .await
        .ok()??;
    serde_json::from_slice::<Hint>(&bytes)
        .ok()
        .map(|hint| hint.version)
}

async fn clean_log(table: &Table) -> Result<(), DeltaError> {
    if table.metadata.property("delta.enableExpiredLogCleanup") == Some("false") {
        return Ok(());
    }
    let retention = match table.metadata.property("delta.logRetentionDuration") {
        Some(text) => interval(text),
        None => Some(LOG_RETENTION),
    };
    let Some(retention) = retention.and_then(|retention| i64::try_from(retention.as_millis()).ok()) else {
        return Ok(());
    };
    let cutoff = Utc::now().timestamp_millis() - retention;
    let removed = cleanup_expired_logs_for(table.version, table.storage.log().as_ref(), cutoff, None).await;
    let removed = removed.map_err(DeltaError::storage("removing expired log entries"))?;
    tracing::debug!(removed, "expired log entries were removed");
    Ok(())
}

/// `interval 30 days`, as the table's properties write it. What is not understood removes nothing.
fn interval(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace();
    if words.next()? != "interval" {
        return None;
    }
    let (count, unit) = (words.next()?.parse::<u64>().ok()?, words.next()?);
    let seconds = match unit.trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 24 * 3600,
        "week" => 7 * 24 * 3600,
        _ => return None,
    };
    words
        .next()
        .is_none()
        .then(|| Duration::from_secs(count.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_is_not_understood_removes_nothing() {
        assert_eq!(interval("interval 30 days"), Some(LOG_RETENTION));
        assert_eq!(interval("interval 1 week"), Some(Duration::from_secs(604_800)));
        for text in [
            "30 days",
            "interval 1 month",
            "interval",
            "interval x days",
            "interval 1 day 2 hours",
        ] {
            assert_eq!(interval(text), None, "{text}");
        }
    }
}
