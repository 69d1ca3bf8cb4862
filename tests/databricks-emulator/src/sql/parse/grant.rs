//! GRANT and REVOKE.

use super::Statement;
use super::reader::Reader;
use crate::catalog::{Kind, Privilege, Securable};
use crate::sql::error::SqlError;

pub(super) fn grant(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("GRANT")?;
    let privileges = privileges(reader)?;
    let on = securable(reader)?;
    reader.expect("TO")?;
    let principal = reader.part()?;
    Ok(Statement::Grant {
        privileges,
        on,
        principal,
    })
}

pub(super) fn revoke(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("REVOKE")?;
    let privileges = privileges(reader)?;
    let on = securable(reader)?;
    reader.expect("FROM")?;
    let principal = reader.part()?;
    Ok(Statement::Revoke {
        privileges,
        on,
        principal,
    })
}

/// Privileges up to the word ON, which is passed. A privilege is one to three words.
fn privileges(reader: &mut Reader<'_>) -> Result<Vec<Privilege>, SqlError> {
    let mut found = Vec::new();
    loop {
        let start = reader.span;
        let mut words = Vec::new();
        while !reader.is_sign(",") && !reader.is_word("ON") {
            words.push(reader.part()?);
        }
        let text = words.join(" ");
        match Privilege::parse(&text) {
            Some(privilege) => found.push(privilege),
            None => return Err(SqlError::syntax(reader.sql, start.start, &text)),
        }
        if !reader.eat_sign(",")? {
            reader.expect("ON")?;
            return Ok(found);
        }
    }
}

/// An object: its kind, TABLE if it is left out, and its name.
pub(super) fn securable(reader: &mut Reader<'_>) -> Result<Securable, SqlError> {
    let kind = match reader.word().as_deref() {
        Some("CATALOG") => Kind::Catalog,
        Some("SCHEMA" | "DATABASE") => Kind::Schema,
        Some("TABLE") => Kind::Table,
        Some("METASTORE") => {
            reader.advance()?;
            return Ok(Securable::new(Kind::Metastore, ""));
        }
        Some("EXTERNAL") => {
            reader.expect("EXTERNAL LOCATION")?;
            return Ok(Securable::new(Kind::ExternalLocation, &reader.part()?));
        }
        Some("STORAGE") => {
            reader.expect("STORAGE CREDENTIAL")?;
            return Ok(Securable::new(Kind::StorageCredential, &reader.part()?));
        }
        _ => return Ok(Securable::new(Kind::Table, &reader.name()?.join("."))),
    };
    reader.advance()?;
    Ok(Securable::new(kind, &reader.name()?.join(".")))
}
