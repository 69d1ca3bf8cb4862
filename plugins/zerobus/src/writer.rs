//! One batch: cut into requests, sent, and told as far as it is durable without a gap.

use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lakefeed_databricks_client::TableName;
use lakefeed_databricks_client::catalog::{ColumnInfo, TableInfo};
use lakefeed_databricks_client::probe::{is_catalog_managed, not_fit};
use lakefeed_plugin_api::{
    BatchMeta, Category, Deadline, Ordering, PluginError, TableRef, WriteAck, Writer, WriterProfile,
};

use crate::requests::{Cut, MAX_BODY, Request, Requests, Spelling, requests};
use crate::settled::Settled;
use crate::{Zerobus, ZerobusError};

/// So much sooner than its deadline a write ends, so that its own answer reaches the host.
const MARGIN: Duration = Duration::from_secs(1);
/// How long to wait before the service is asked again whether it knows a column by now.
const CACHE_PAUSE: Duration = Duration::from_secs(2);

/// How long it is not looked again at the columns' types, however many rows are refused.
const TYPES_PAUSE: Duration = Duration::from_secs(10);

/// What was opened, and what is remembered between batches.
#[derive(Debug, Default)]
pub(crate) struct Session {
    settled: Settled,
    spelling: Spelling,
    /// The columns and their types as they were when the table was last looked at.
    types: Vec<(String, String)>,
    /// When rows were last refused and the types compared.
    compared: Option<Instant>,
    /// When the table was last brought up to the view.
    evolved: Option<Instant>,
}

impl Writer for Zerobus {
    async fn open(&self, _: &TableRef, _: SchemaRef, _: u32) -> Result<WriterProfile, PluginError> {
        let table = &self.checked.table;
        let Some(found) = self.databricks.table(table).await? else {
            return Err(ZerobusError::NoTable {
                table: table.to_string(),
            }
            .into());
        };
        if let Some((problem, hint)) = not_fit(&found) {
            return Err(ZerobusError::Kind { problem, hint }.into());
        }
        if is_catalog_managed(&found) {
            tracing::warn!("the table has catalog-managed commits, which the ingest service may refuse");
        }
        // Refused here, before the first row, where a grant is missing.
        self.databricks.token(&self.table_token()).await?;
        let mut session = self.session.lock().await;
        let evolved = session.take().and_then(|session| session.evolved);
        *session = Some(Session {
            evolved,
            spelling: spelling(&found),
            types: types(&found),
            ..Session::default()
        });
        Ok(WriterProfile {
            max_in_flight: 1,
            preferred_rows: 5_000,
            preferred_bytes: 4 << 20,
            // A batch of so much becomes about as many requests as may be under way.
            max_bytes: (MAX_BODY * self.checked.max_in_flight) as u64,
            ordering: Ordering::PerKey,
            ..WriterProfile::default()
        })
    }

    async fn write(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<WriteAck, PluginError> {
        let cut = self.cut(batch, meta).await?;
        let limit = meta.deadline.remaining().map(|left| left.saturating_sub(MARGIN));
        let mut outcomes = Vec::new();
        for wave in waves(&cut.requests) {
            let bodies = wave.iter().map(|request| request.body.clone());
            let sending: Vec<_> = bodies.map(|body| self.send_within(body, limit)).collect();
            let sent: Vec<_> = stream::iter(sending)
                .buffered(self.checked.max_in_flight)
                .collect()
                .await;
            let has_failed = sent.iter().any(Result::is_err);
            outcomes.extend(sent);
            if has_failed {
                break;
            }
        }
        self.told(cut, outcomes, meta).await
    }

    async fn evolve(&self, _: SchemaRef, _: u32) -> Result<(), PluginError> {
        // Columns were added, perhaps under another spelling than the view's.
        let found = self.databricks.table(&self.checked.table).await?;
        if let Some(session) = self.session.lock().await.as_mut() {
            session.evolved = Some(Instant::now());
            session.spelling = found.as_ref().map(spelling).unwrap_or_default();
            session.types = found.as_ref().map(types).unwrap_or_default();
        }
        Ok(())
    }

    async fn close(&self, _: Deadline) -> Result<(), PluginError> {
        *self.session.lock().await = None; // All that was told is durable already.
        Ok(())
    }
}

impl Zerobus {
    /// Cuts a batch, where that holds up nobody who waits for the network.
    async fn cut(&self, batch: RecordBatch, meta: &BatchMeta) -> Result<Requests, PluginError> {
        let (mut settled, spelling) = {
            let mut session = self.session.lock().await;
            let session = session.as_mut().ok_or(ZerobusError::Contract {
                what: "a batch came before the writer was opened",
            })?;
            session.settled.forget_before(meta.first_offset);
            (std::mem::take(&mut session.settled), session.spelling.clone())
        };
        let (starts, max_in_flight) = (meta.change_starts.clone(), self.checked.max_in_flight);
        let work = move || {
            let cut = Cut {
                max_body: MAX_BODY,
                max_in_flight,
            };
            let cut = requests(&batch, &starts, cut, &spelling, &mut settled);
            (cut, settled)
        };
        let (cut, left) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| ZerobusError::Contract {
                what: "writing the requests of a batch did not end",
            })?;
        if let Some(session) = self.session.lock().await.as_mut() {
            session.settled = left;
        }
        Ok(cut?)
    }

    async fn send_within(&self, body: Bytes, limit: Option<Duration>) -> Result<(), PluginError> {
        if body.is_empty() {
            return Ok(());
        }
        let sending = self.insert(body);
        let Some(limit) = limit else { return sending.await };
        match tokio::time::timeout(limit, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(PluginError::new(
                Category::RemoteUnavailable,
                "ZEROBUS-018",
                "the ingest service did not answer in time",
            )
            .hint("it is tried again by itself; a longer wait needs a longer `callTimeoutMs`")
            .outcome_unknown()),
        }
    }

    /// Tells what is durable without a gap, and remembers what is durable beyond one.
    async fn told(
        &self,
        cut: Requests,
        outcomes: Vec<Result<(), PluginError>>,
        meta: &BatchMeta,
    ) -> Result<WriteAck, PluginError> {
        let good = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
        let Some(failure) = outcomes
            .iter()
            .find_map(|outcome| outcome.as_ref().err())
            .cloned()
        else {
            let mut ack = WriteAck::durable(meta, 0).refused(cut.refused);
            ack.rows = cut.requests.iter().map(|request| request.rows as u64).sum();
            ack.bytes = cut.requests.iter().map(|request| request.body.len() as u64).sum();
            return Ok(ack);
        };
        let failure = self.with_types(failure).await;
        let failure = self.with_cache(failure).await;
        self.remember(&cut.requests[good..], &outcomes[good..], meta)
            .await;
        let told = &cut.requests[..good];
        let prefix = told.last().map_or(0, |request| request.changes.end);
        if prefix == 0 {
            return Err(failure);
        }
        tracing::info!(code = failure.code, "a later part of the batch failed");
        let mut ack = WriteAck::durable(meta, 0).refused(cut.refused);
        ack.durable_prefix = prefix as u64;
        ack.refused.retain(|refusal| refusal.change < ack.durable_prefix);
        ack.rows = told.iter().map(|request| request.rows as u64).sum();
        ack.bytes = told.iter().map(|request| request.body.len() as u64).sum();
        Ok(ack)
    }

    async fn remember(&self, requests: &[Request], outcomes: &[Result<(), PluginError>], meta: &BatchMeta) {
        let mut session = self.session.lock().await;
        let Some(session) = session.as_mut() else { return };
        for (index, request) in requests.iter().enumerate() {
            let is_durable = outcomes.get(index).is_some_and(Result::is_ok);
            let sent = request.marks().filter(|_| is_durable);
            let marks = request.settled.iter().copied().chain(sent);
            session.settled.remember(meta.last_offset, marks);
        }
    }

    /// Rows may be refused because a column is of another type than it was. Then the table is to be looked at, and no row
    /// is at fault.
    async fn with_types(&self, failure: PluginError) -> PluginError {
        if failure.category != Category::DataRejected {
            return failure;
        }
        let known = match self.session.lock().await.as_mut() {
            Some(session) => session.may_compare().then(|| session.types.clone()),
            None => None,
        };
        let Some(known) = known else { return failure };
        match self.databricks.table(&self.checked.table).await {
            Ok(Some(found)) if types(&found) != known => retyped(&self.checked.table).detail(failure.detail),
            // The failure stands as it is, also where the table cannot be looked at.
            _ => failure,
        }
    }

    /// The service may refuse a column for a while after it was added (W 2.6): that is waited for, within bounds,
    /// before the table is looked at again.
    async fn with_cache(&self, failure: PluginError) -> PluginError {
        let evolved = self
            .session
            .lock()
            .await
            .as_ref()
            .and_then(|session| session.evolved);
        let is_recent = evolved.is_some_and(|evolved| evolved.elapsed() < self.checked.schema_cache);
        if failure.category == Category::SchemaMismatch && is_recent {
            return failure.after(CACHE_PAUSE);
        }
        failure
    }
}

impl Session {
    /// Whether it is time to compare the types; from now on it is not for a while.
    fn may_compare(&mut self) -> bool {
        let is_recent = self
            .compared
            .is_some_and(|compared| compared.elapsed() < TYPES_PAUSE);
        if !is_recent {
            self.compared = Some(Instant::now());
        }
        !is_recent
    }
}

/// The columns and their types, in the order of the names.
fn types(table: &TableInfo) -> Vec<(String, String)> {
    let of_column = |column: &ColumnInfo| (column.name.to_lowercase(), column.type_text.to_lowercase());
    let mut types: Vec<_> = table.columns.iter().map(of_column).collect();
    types.sort();
    types
}

fn retyped(table: &TableName) -> PluginError {
    PluginError::new(
        Category::SchemaMismatch,
        "ZEROBUS-021",
        format!("the ingest service refuses rows of table `{table}`, whose columns have changed"),
    )
    .hint("the columns are compared with the view's; what cannot be mended by itself is said")
}

fn spelling(table: &TableInfo) -> Spelling {
    Spelling::of(table.columns.iter().map(|column| column.name.clone()))
}

/// Requests that may be under way together, group after group.
fn waves(requests: &[Request]) -> impl Iterator<Item = &[Request]> {
    let mut rest = requests;
    std::iter::from_fn(move || {
        let (_, others) = rest.split_first()?;
        let more = others.iter().take_while(|request| !request.waits).count();
        let (wave, after) = rest.split_at(1 + more);
        rest = after;
        Some(wave)
    })
}
