//! All that the surfaces share: the state, the tables, the clock, the switches and the records.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, header};

use crate::catalog::{self, Caller, Catalog, Kind, Securable, TableEntry, TableType};
use crate::clock::Clock;
use crate::emulator::StartError;
use crate::faults::{Fault, Faults};
use crate::http::ApiError;
use crate::oauth::{Claims, TokenKind};
use crate::options::Options;
use crate::records::{Counters, RequestLog};
use crate::sql::Sql;
use crate::storage::{OpenTable, Place, Server, Storage, StorageError};
use crate::sync::lock;
use crate::zerobus::Ingest;

/// One workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    pub(crate) counters: Counters,
    pub(crate) storage: Storage,
    pub(crate) ingest: Ingest,
    pub(crate) sql: Sql,
    /// Held while a table, with its files, is made or dropped.
    pub(crate) defining: tokio::sync::Mutex<()>,
    catalog: Mutex<Catalog>,
    /// Tokens that were issued before are expired.
    tokens_from_ms: AtomicI64,
}

impl Workspace {
    pub(crate) fn open(options: Options) -> Result<Arc<Self>, StartError> {
        let server = options
            .s3
            .as_ref()
            .map(|s3| Server::new(s3, &options.region))
            .transpose()?;
        std::fs::create_dir_all(&options.data)?;
        let clock = Clock::default();
        let catalog = match catalog::load(&options.data)? {
            Some(catalog) => catalog,
            None => first(&options, clock.now_ms()),
        };
        catalog::save(&options.data, &catalog)?;
        let ingest = Ingest::open(&options.data, options.durable)?;
        Ok(Arc::new(Self {
            storage: Storage::new(&options.data, options.durable, server),
            ingest,
            options,
            clock,
            faults: Faults::default(),
            requests: RequestLog::default(),
            counters: Counters::default(),
            sql: Sql::default(),
            defining: tokio::sync::Mutex::default(),
            catalog: Mutex::new(catalog),
            tokens_from_ms: AtomicI64::new(0),
        }))
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Catalog) -> T) -> T {
        look(&lock(&self.catalog))
    }

    /// Changes the state and saves it, or leaves it as it was.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Catalog) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut current = lock(&self.catalog);
        let mut changed = current.clone();
        let answer = change(&mut changed)?;
        catalog::save(&self.options.data, &changed).map_err(|error| ApiError::internal(&error))?;
        *current = changed;
        Ok(answer)
    }

    /// Who sends a request to Unity Catalog or SQL.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let Some(token) = bearer(headers) else {
            return Err(ApiError::no_credential());
        };
        let principal = if self.is_administrators(token) {
            catalog::ADMINISTRATOR.to_owned()
        } else {
            let claims = self.claims(token).ok_or_else(ApiError::invalid_token)?;
            let is_plain = claims.kind == TokenKind::Plain;
            if !is_plain && self.are_kinds_enforced() {
                return Err(ApiError::invalid_token());
            }
            claims.subject
        };
        Ok(self.as_caller(principal))
    }

    /// A principal, and what the switches deny.
    pub(crate) fn as_caller(&self, principal: String) -> Caller {
        Caller {
            principal,
            denied: self.faults.peek(Fault::DeniedGrant),
        }
    }

    /// Whether a token of one kind is refused where the other is due.
    pub(crate) fn are_kinds_enforced(&self) -> bool {
        self.faults
            .peek(Fault::TokenKinds)
            .is_none_or(|setting| setting.enabled.unwrap_or(true))
    }

    fn is_administrators(&self, token: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.read(|catalog| {
            let expected = catalog.administrator_token.as_bytes();
            bool::from(expected.ct_eq(token.as_bytes()))
        })
    }

    /// What a token says, if it is one of ours and not expired.
    pub(crate) fn claims(&self, token: &str) -> Option<Claims> {
        let key = self.read(|catalog| catalog.token_key.clone());
        let claims = Claims::verify(token, &key)?;
        let is_fresh = claims.issued_at >= self.tokens_from_ms.load(Ordering::Relaxed)
            && claims.expires_at > self.clock.now_ms();
        let is_known = self.read(|catalog| catalog.principals.contains_key(&claims.subject));
        (is_fresh && is_known).then_some(claims)
    }

    /// Every token that was issued so far is expired.
    pub(crate) fn expire_tokens(&self) {
        let now = self.clock.now_ms();
        self.tokens_from_ms.store(now + 1, Ordering::Relaxed);
        // A token that is issued at once must not be of the same millisecond.
        self.clock.advance(std::time::Duration::from_millis(2));
    }

    pub(crate) fn allow_external_access(&self, enabled: bool) -> Result<(), ApiError> {
        self.change(|catalog| {
            catalog.metastore.external_access = enabled;
            Ok(())
        })
    }

    /// The entry of a table.
    pub(crate) fn table_entry(&self, full_name: &str) -> Option<TableEntry> {
        self.read(|catalog| catalog.tables.get(&full_name.to_lowercase()).cloned())
    }

    /// The folder of a table; none where it lies in a bucket of the S3 server.
    pub(crate) fn table_folder(&self, full_name: &str) -> Option<PathBuf> {
        let entry = self.table_entry(full_name)?;
        match self.storage.place(&entry.storage_location) {
            Ok(Place::Folder(folder)) => Some(folder),
            _ => None,
        }
    }

    /// A table, open.
    pub(crate) async fn table(
        &self,
        entry: &TableEntry,
    ) -> Result<Arc<tokio::sync::Mutex<OpenTable>>, StorageError> {
        self.storage.table(entry).await
    }

    /// All that Zerobus took so far is queryable afterwards.
    pub(crate) async fn flush(&self) -> Result<(), StorageError> {
        crate::zerobus::flush(self).await
    }

    /// Takes up the columns of an external table that others may have changed.
    pub(crate) async fn refresh_external(&self, full_name: &str) {
        let Some(entry) = self.table_entry(full_name) else {
            return;
        };
        if entry.table_type != TableType::External {
            return;
        }
        let Ok(table) = self.table(&entry).await else {
            return;
        };
        let mut table = table.lock().await;
        if table.refresh().await.is_err() {
            return;
        }
        let Ok(columns) = table.columns() else { return };
        if columns == entry.columns {
            return;
        }
        let now = self.clock.now_ms();
        let changed = self.change(|catalog| {
            if let Some(known) = catalog.tables.get_mut(&entry.full_name()) {
                known.columns = columns;
                known.updated_at = now;
            }
            Ok(())
        });
        if let Err(error) = changed {
            tracing::warn!(error = %error.message, "the columns of an external table were not taken up");
        }
    }

    /// Drops a table: a managed one with its files.
    pub(crate) async fn drop_table(&self, caller: &Caller, full_name: &str) -> Result<(), ApiError> {
        let _defining = self.defining.lock().await;
        let entry = self.change(|catalog| catalog.drop_table(caller, full_name))?;
        self.forget(&entry).await
    }

    /// Drops a schema, with its tables or only if it has none.
    pub(crate) async fn drop_schema(
        &self,
        caller: &Caller,
        full_name: &str,
        with_tables: bool,
    ) -> Result<(), ApiError> {
        let _defining = self.defining.lock().await;
        let dropped = self.change(|catalog| catalog.drop_schema(caller, full_name, with_tables))?;
        for entry in &dropped {
            self.forget(entry).await?;
        }
        Ok(())
    }

    async fn forget(&self, entry: &TableEntry) -> Result<(), ApiError> {
        self.ingest.forget(&entry.table_id);
        let is_managed = entry.table_type == TableType::Managed;
        let forgotten = self.storage.forget(entry, is_managed).await;
        forgotten.map_err(|error| ApiError::internal(&error))
    }
}

/// The token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The state of a workspace that nobody has set up: an administrator, a service principal without a grant, a warehouse.
fn first(options: &Options, now: i64) -> Catalog {
    let random = || uuid::Uuid::new_v4().simple().to_string();
    let mut catalog = Catalog {
        metastore: catalog::Metastore {
            id: uuid::Uuid::new_v4().to_string(),
            name: format!("metastore_aws_{}", options.region.replace('-', "_")),
            external_access: true,
            created_at: now,
        },
        token_key: random() + &random(),
        administrator_token: format!("dapi{}", random()),
        ..Catalog::default()
    };
    catalog.principals.insert(
        options.client_id.clone(),
        catalog::ServicePrincipal {
            id: "7012345678901234".to_owned(),
            display_name: "lakefeed".to_owned(),
            secrets: vec![options.client_secret.clone()],
        },
    );
    catalog.warehouses.insert(
        options.warehouse_id.clone(),
        catalog::Warehouse {
            id: options.warehouse_id.clone(),
            name: "Serverless Starter Warehouse".to_owned(),
            ..catalog::Warehouse::default()
        },
    );
    debug_assert!(catalog.has(&Securable::new(Kind::Metastore, "")));
    catalog
}
