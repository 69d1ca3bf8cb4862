//! The schema's versions.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::super::LogError;
use super::fault::Place;
use super::lock::SCHEMA;
use super::partition::Width;
use super::row::integer;

/// All steps from an empty schema on; a step's place is the version that it leads to, from 1.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_log.sql")];

/// The newest version of the schema known here.
pub(super) const NEWEST: u32 = MIGRATIONS.len() as u32;

/// The oldest server that has what is used here, as it numbers itself.
const OLDEST_SERVER: u32 = 140_000;

/// What the server says of itself.
struct Server {
    version: u32,
    is_standby: bool,
    encoding: String,
    syncs: bool,
}

/// Refuses a server that is too old or a standby, and a database that cannot hold all characters; says loudly that a
/// server does not sync.
pub(super) async fn check_server(place: &Place, connection: &mut PgConnection) -> Result<(), LogError> {
    let server = server(connection).await.map_err(|error| place.fault(&error))?;
    if server.version < OLDEST_SERVER {
        return Err(LogError::Url {
            reason: "names a PostgreSQL server older than 14; use 14 or later".to_owned(),
        });
    }
    if server.encoding != "UTF8" {
        return Err(LogError::Url {
            reason: "names a database whose encoding is not UTF8; create it with `ENCODING 'UTF8' TEMPLATE template0`"
                .to_owned(),
        });
    }
    if server.is_standby {
        return Err(place.read_only());
    }
    if !server.syncs {
        tracing::warn!(
            store = %place.name(),
            "the server runs with `fsync = off`: what was acknowledged is lost with the machine's power"
        );
    }
    Ok(())
}

async fn server(connection: &mut PgConnection) -> Result<Server, sqlx::Error> {
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::integer, \
         pg_is_in_recovery(), \
         current_setting('fsync') = 'on', current_setting('server_encoding')",
    )
    .fetch_one(connection)
    .await?;
    Ok(Server {
        version: u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(0),
        is_standby: row.try_get(1)?,
        syncs: row.try_get(2)?,
        encoding: row.try_get(3)?,
    })
}

/// Brings the schema up to date, makes it where it is absent; refuses one that is newer, or another program's.
pub(super) async fn migrate(
    place: &Place,
    width: u64,
    connection: &mut PgConnection,
) -> Result<(), LogError> {
    let fault = |error| place.fault(&error);
    let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({SCHEMA})");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    let found = version(place, connection).await?;
    for (step, script) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        apply(script, step + 1, width, connection).await.map_err(fault)?;
    }
    sqlx::raw_sql("COMMIT").execute(connection).await.map_err(fault)?;
    Ok(())
}

/// The version of the schema, 0 where there is none; refuses one that is newer, or another program's.
pub(super) async fn version(place: &Place, connection: &mut PgConnection) -> Result<u32, LogError> {
    let (is_ours, tables) = tables(connection).await.map_err(|error| place.fault(&error))?;
    if !is_ours {
        return match tables {
            0 => Ok(0),
            _ => Err(place.damaged("the schema `lakefeed` of its database is another program's")),
        };
    }
    let found: i32 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM lakefeed.migration")
        .fetch_one(connection)
        .await
        .map_err(|error| place.fault(&error))?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    match found > NEWEST {
        true => Err(LogError::NewerSchema {
            store: place.name(),
            found,
            known: NEWEST,
        }),
        false => Ok(found),
    }
}

/// Whether the schema is ours, and how many tables and the like it has.
async fn tables(connection: &mut PgConnection) -> Result<(bool, i64), sqlx::Error> {
    let row = sqlx::query(
        "SELECT to_regclass('lakefeed.migration') IS NOT NULL, \
         (SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('lakefeed'))",
    )
    .fetch_one(connection)
    .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn apply(
    script: &str,
    version: usize,
    width: u64,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if version == 1 {
        begin_schema(connection).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
        .execute(&mut *connection)
        .await?;
    if version == 1 {
        sqlx::query(
            "INSERT INTO lakefeed.store (single, fence, host, base, width) VALUES (true, 0, 0, 0, $1)",
        )
        .bind(integer(width))
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("INSERT INTO lakefeed.migration (version) VALUES ($1)")
        .bind(i32::try_from(version).unwrap_or(i32::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// An administrator may have made the schema for us, who may not make any.
async fn begin_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regnamespace('lakefeed') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !is_there {
        sqlx::raw_sql("CREATE SCHEMA lakefeed")
            .execute(&mut *connection)
            .await?;
    }
    sqlx::raw_sql(
        "CREATE TABLE lakefeed.migration ( \
           version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// How many sequences a partition of this store spans.
pub(super) async fn width(connection: &mut PgConnection) -> Result<Width, sqlx::Error> {
    let width: i64 = sqlx::query_scalar("SELECT width FROM lakefeed.store")
        .fetch_one(connection)
        .await?;
    Ok(Width::new(u64::try_from(width).unwrap_or(1)))
}
