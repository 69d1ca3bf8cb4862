//! What is done in the database: tables are made, filled, put before the SQL users and dropped.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Row};
use tokio::sync::OnceCell;

use super::columns::{self, Column, KEY, quoted};
use super::error::SqlTableError;
use super::generation::{Generation, State, view};

/// How many sessions all tables share.
const SESSIONS: u32 = 4;

/// How long a caller waits for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many bytes of rows are sent at a time.
const PIECE: usize = 1 << 20;

/// What begins the comment on a view that was made here. It comes back with a dump, unlike anything else that would
/// tell ours from somebody else's.
const MARK: &str = "Kept current by lakefeed";

/// A deletion finds its rows by the index also in a table that the server has not counted yet; a commit is on disk
/// before it is answered.
const SETTINGS: [(&str, &str); 2] = [("enable_seqscan", "off"), ("synchronous_commit", "on")];

/// The state of each table, beside the tables: so that one transaction changes both.
const SCHEMA: &str = "
DO $$
BEGIN
    IF to_regnamespace('lakefeed_sof') IS NULL THEN
        CREATE SCHEMA lakefeed_sof;
    END IF;
    IF to_regnamespace('sof') IS NULL THEN
        CREATE SCHEMA sof;
    END IF;
    IF to_regclass('lakefeed_sof.generation') IS NULL THEN
        CREATE TABLE lakefeed_sof.generation (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text COLLATE \"C\" NOT NULL,
            version bigint NOT NULL,
            state text NOT NULL CHECK (state IN ('building', 'serving', 'retired', 'dropped')),
            -- The newest batch that the table holds, within the newest generation of its destination.
            epoch bigint NOT NULL DEFAULT 0,
            batch bigint NOT NULL DEFAULT 0
        );
        CREATE UNIQUE INDEX generation_serving ON lakefeed_sof.generation (name) WHERE state = 'serving';
    END IF;
END
$$";

/// The database that the tables are in. Connects when it is first asked something.
pub(super) struct Database {
    pool: PgPool,
    prepared: OnceCell<()>,
}

impl Database {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(SESSIONS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options.options(SETTINGS));
        Self {
            pool,
            prepared: OnceCell::new(),
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    // ---- what there is

    /// The tables of a view, the newest last.
    pub(super) async fn generations(&self, name: &str) -> Result<Vec<Generation>, SqlTableError> {
        let all = self.all().await?;
        Ok(all
            .into_iter()
            .filter(|generation| generation.name == name)
            .collect())
    }

    /// The tables of all views, the newest last.
    pub(super) async fn all(&self) -> Result<Vec<Generation>, SqlTableError> {
        self.prepare().await?;
        let text = "SELECT name, number, version, state FROM lakefeed_sof.generation ORDER BY number";
        let rows = sqlx::query(text).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(generation(row)?)).collect()
    }

    /// Whether a table is there.
    pub(super) async fn has_table(&self, generation: &Generation) -> Result<bool, SqlTableError> {
        let text = "SELECT to_regclass($1) IS NOT NULL";
        let found = sqlx::query_scalar(text).bind(generation.table());
        Ok(found.fetch_one(&self.pool).await?)
    }

    /// Whether the view that SQL users read is there and was made here.
    pub(super) async fn has_view(&self, name: &str) -> Result<bool, SqlTableError> {
        let mut connection = self.pool.acquire().await?;
        Ok(is_ours(&mut connection, name).await? == Some(true))
    }

    /// Fails when somebody else's table or view stands where a view's would.
    pub(super) async fn refuse_taken(&self, name: &str) -> Result<(), SqlTableError> {
        let mut connection = self.pool.acquire().await?;
        refuse_taken(&mut connection, name).await
    }

    // ---- what is made of it

    /// Makes an empty table for a version of a view.
    pub(super) async fn make(
        &self,
        name: &str,
        version: u64,
        columns: &[Column],
    ) -> Result<Generation, SqlTableError> {
        self.prepare().await?;
        let mut transaction = self.pool.begin().await?;
        refuse_taken(&mut transaction, name).await?;
        let text = "INSERT INTO lakefeed_sof.generation (name, version, state) VALUES ($1, $2, 'building') \
                    RETURNING name, number, version, state";
        let made = sqlx::query(text).bind(name).bind(signed(version));
        let made = generation(&made.fetch_one(&mut *transaction).await?)?;
        let script = table_script(&made, columns);
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Takes away the rows of some resources and puts rows in their place, unless a later batch was here already.
    pub(super) async fn replace(
        &self,
        generation: &Generation,
        columns: &[Column],
        (epoch, batch): (u64, u64),
        ids: &[&str],
        rows: String,
    ) -> Result<(), SqlTableError> {
        let mut transaction = self.pool.begin().await?;
        let text = "UPDATE lakefeed_sof.generation SET epoch = $2, batch = $3 \
                    WHERE number = $1 AND (epoch, batch) <= ($2, $3)";
        let turn = sqlx::query(text)
            .bind(generation.number)
            .bind(signed(epoch))
            .bind(signed(batch));
        if turn.execute(&mut *transaction).await?.rows_affected() != 1 {
            return Err(SqlTableError::Gone);
        }
        let text = format!(
            "DELETE FROM {} WHERE {} = ANY($1)",
            generation.table(),
            quoted(KEY)
        );
        sqlx::query(AssertSqlSafe(text))
            .bind(ids)
            .execute(&mut *transaction)
            .await?;
        if !rows.is_empty() {
            copy_in(&mut transaction, generation, columns, rows.as_bytes()).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Puts a table before the SQL users, in place of the one that they read until now. Who may read stays who may
    /// read. A view that cannot take other columns because others read it stays as it is.
    pub(super) async fn switch(
        &self,
        generation: &Generation,
        columns: &[Column],
    ) -> Result<(), SqlTableError> {
        match self.put_before_users(generation, columns, Way::Replace).await {
            Err(Switching::OtherColumns) => {}
            Err(Switching::Failed(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
        match self.put_before_users(generation, columns, Way::Anew).await {
            Err(Switching::OtherColumns) => Err(self.depended(&generation.name).await?),
            Err(Switching::Failed(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    async fn put_before_users(
        &self,
        generation: &Generation,
        columns: &[Column],
        way: Way,
    ) -> Result<(), Switching> {
        let mut transaction = self.pool.begin().await?;
        // Whoever waits for the view makes all later queries of it wait, and holds back the log's readers.
        sqlx::raw_sql("SET LOCAL lock_timeout = '1s'")
            .execute(&mut *transaction)
            .await?;
        refuse_taken(&mut transaction, &generation.name).await?;
        let mut script = String::new();
        let mut grants = Vec::new();
        if way == Way::Anew {
            grants = read_grants(&mut transaction, &generation.name).await?;
            script += &format!("DROP VIEW IF EXISTS {};", view(&generation.name));
        }
        script += &switch_script(generation, columns);
        script.extend(grants);
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Notes that an operator dropped what SQL users read.
    pub(super) async fn note_dropped(&self, generation: &Generation) -> Result<(), SqlTableError> {
        let text = "UPDATE lakefeed_sof.generation SET state = 'dropped' WHERE number = $1";
        let noted = sqlx::query(text).bind(generation.number);
        noted.execute(&self.pool).await?;
        Ok(())
    }

    /// Drops the view that SQL users read and keeps in mind that this was meant.
    pub(super) async fn drop_view(&self, generation: &Generation) -> Result<(), SqlTableError> {
        let script = format!(
            "SET LOCAL lock_timeout = '1s'; DROP VIEW IF EXISTS {}; \
             UPDATE lakefeed_sof.generation SET state = 'dropped' WHERE number = {};",
            view(&generation.name),
            generation.number
        );
        let mut transaction = self.pool.begin().await?;
        refuse_taken(&mut transaction, &generation.name).await?;
        match sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut *transaction)
            .await
        {
            Ok(_) => Ok(transaction.commit().await?),
            Err(error) if state_of(&error) == "2BP01" => {
                drop(transaction);
                Err(self.depended(&generation.name).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Drops a table. What is known of it stays where an operator dropped the view, and goes otherwise.
    pub(super) async fn drop_table(&self, generation: &Generation) -> Result<(), SqlTableError> {
        let script = format!(
            "SET LOCAL lock_timeout = '1s'; DROP TABLE IF EXISTS {}; \
             DELETE FROM lakefeed_sof.generation WHERE number = {} AND state <> 'dropped';",
            generation.table(),
            generation.number
        );
        let mut transaction = self.pool.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets what was noted of older tables of a view than this one.
    pub(super) async fn forget_dropped(&self, newest: &Generation) -> Result<(), SqlTableError> {
        let text =
            "DELETE FROM lakefeed_sof.generation WHERE name = $1 AND number < $2 AND state = 'dropped'";
        let forgotten = sqlx::query(text).bind(&newest.name).bind(newest.number);
        forgotten.execute(&self.pool).await?;
        Ok(())
    }

    /// Says which views stand in the way.
    async fn depended(&self, name: &str) -> Result<SqlTableError, SqlTableError> {
        let text = "SELECT DISTINCT format('%I.%I', n.nspname, c.relname) FROM pg_depend d \
                    JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
                    JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace \
                    WHERE d.refobjid = to_regclass($1) AND r.ev_class <> d.refobjid ORDER BY 1 LIMIT 5";
        let names: Vec<String> = sqlx::query_scalar(text)
            .bind(view(name))
            .fetch_all(&self.pool)
            .await?;
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        Ok(SqlTableError::Depended {
            place: view(name),
            dependents: names.join(", "),
        })
    }

    /// Makes the schemas, once.
    pub(super) async fn prepare(&self) -> Result<(), SqlTableError> {
        let made = self.prepared.get_or_try_init(|| async {
            sqlx::raw_sql(SCHEMA).execute(&self.pool).await?;
            Ok::<(), SqlTableError>(())
        });
        made.await.copied()
    }
}

/// How a view gets to read another table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It stays the same view: only columns at its end may be new.
    Replace,
    /// It is dropped and made again.
    Anew,
}

/// Why a view does not read another table.
enum Switching {
    /// Its columns would be others, or others read it.
    OtherColumns,
    Failed(SqlTableError),
}

impl From<SqlTableError> for Switching {
    fn from(error: SqlTableError) -> Self {
        Self::Failed(error)
    }
}

impl From<sqlx::Error> for Switching {
    fn from(error: sqlx::Error) -> Self {
        match state_of(&error).as_str() {
            "42P16" | "2BP01" => Self::OtherColumns,
            _ => Self::Failed(error.into()),
        }
    }
}

async fn copy_in(
    connection: &mut PgConnection,
    generation: &Generation,
    columns: &[Column],
    rows: &[u8],
) -> Result<(), SqlTableError> {
    let text = format!(
        "COPY {} ({}, {}) FROM STDIN (FORMAT text, ENCODING 'UTF8')",
        generation.table(),
        quoted(KEY),
        columns::list(columns)
    );
    let mut copy = connection.copy_in_raw(&text).await?;
    for piece in rows.chunks(PIECE) {
        copy.send(piece).await?;
    }
    copy.finish().await?;
    Ok(())
}

fn table_script(generation: &Generation, columns: &[Column]) -> String {
    let table = generation.table();
    let declared: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {}", quoted(&column.name), column.sql()))
        .collect();
    format!(
        "CREATE TABLE {table} ({key} text COLLATE \"C\" NOT NULL, {}); CREATE INDEX ON {table} ({key}); \
         COMMENT ON TABLE {table} IS 'Written by lakefeed alone; read {}.';",
        declared.join(", "),
        view(&generation.name),
        key = quoted(KEY),
    )
}

fn switch_script(generation: &Generation, columns: &[Column]) -> String {
    let (name, list) = (view(&generation.name), columns::list(columns));
    format!(
        "CREATE OR REPLACE VIEW {name} AS SELECT {list} FROM {table}; \
         COMMENT ON VIEW {name} IS '{MARK}: the rows of the living resources.'; \
         UPDATE lakefeed_sof.generation SET state = 'retired' WHERE name = '{plain}' AND state = 'serving'; \
         UPDATE lakefeed_sof.generation SET state = 'serving' WHERE number = {number};",
        table = generation.table(),
        plain = generation.name.replace('\'', "''"),
        number = generation.number,
    )
}

/// Who may do what with a view, as the statements that grant it. Grants on single columns are not among them.
async fn read_grants(connection: &mut PgConnection, name: &str) -> Result<Vec<String>, sqlx::Error> {
    let text = "SELECT format('GRANT %s ON %s TO %s%s;', a.privilege_type, $1, \
                CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, \
                CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END) \
                FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass($1) AND a.grantee <> c.relowner";
    let grants = sqlx::query_scalar(text).bind(view(name));
    grants.fetch_all(connection).await
}

/// Whether what stands where a view's would was made here; none when nothing does.
async fn is_ours(connection: &mut PgConnection, name: &str) -> Result<Option<bool>, sqlx::Error> {
    let text = "SELECT c.relkind = 'v' AND coalesce(obj_description(c.oid, 'pg_class'), '') LIKE $2 || '%' \
                FROM pg_class c WHERE c.oid = to_regclass($1)";
    let found = sqlx::query_scalar(text).bind(view(name)).bind(MARK);
    found.fetch_optional(connection).await
}

async fn refuse_taken(connection: &mut PgConnection, name: &str) -> Result<(), SqlTableError> {
    match is_ours(connection, name).await? {
        Some(false) => Err(SqlTableError::Taken { place: view(name) }),
        _ => Ok(()),
    }
}

fn generation(row: &PgRow) -> Result<Generation, sqlx::Error> {
    let version: i64 = row.try_get(2)?;
    Ok(Generation {
        name: row.try_get(0)?,
        number: row.try_get(1)?,
        version: u64::try_from(version).unwrap_or_default(),
        state: State::of(row.try_get(3)?),
    })
}

/// The server's code of a failure; empty when it is not the server's.
fn state_of(error: &sqlx::Error) -> String {
    let database = error.as_database_error();
    database
        .and_then(|error| error.code())
        .unwrap_or_default()
        .into_owned()
}

/// A number as the database has it; none of ours comes near the end of either type.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
