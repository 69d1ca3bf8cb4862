//! Statements, as far as the emulator runs them itself. A query stays a text for the query engine.

mod define;
mod grant;
mod reader;
mod write;

use super::error::SqlError;
use super::lex::{Lexer, Token};
use crate::catalog::{Privilege, Securable};
use crate::types::Column;
use reader::Reader;

/// A name as it is written: its parts.
pub(super) type Name = Vec<String>;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    CreateSchema(CreateSchema),
    CreateTable(CreateTable),
    AddColumns {
        table: Name,
        columns: Vec<Column>,
    },
    RenameColumn {
        table: Name,
        from: String,
        to: String,
    },
    DropColumns {
        table: Name,
        columns: Vec<String>,
        if_exists: bool,
    },
    SetProperties {
        table: Name,
        properties: std::collections::BTreeMap<String, String>,
    },
    DropTable {
        table: Name,
        if_exists: bool,
    },
    DropSchema {
        schema: Name,
        if_exists: bool,
        cascade: bool,
    },
    Insert(Insert),
    Merge(Merge),
    Describe {
        table: Name,
        what: Describe,
    },
    ShowCatalogs,
    ShowSchemas {
        catalog: Option<String>,
    },
    ShowTables {
        schema: Option<Name>,
    },
    ShowColumns {
        table: Name,
    },
    ShowGrants {
        principal: Option<String>,
        on: Securable,
    },
    Grant {
        privileges: Vec<Privilege>,
        on: Securable,
        principal: String,
    },
    Revoke {
        privileges: Vec<Privilege>,
        on: Securable,
        principal: String,
    },
    Query,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CreateSchema {
    pub(super) name: Name,
    pub(super) if_not_exists: bool,
    pub(super) storage_root: Option<String>,
    pub(super) comment: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CreateTable {
    pub(super) name: Name,
    pub(super) if_not_exists: bool,
    pub(super) columns: Vec<Column>,
    pub(super) location: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) partitions: Vec<String>,
    pub(super) properties: std::collections::BTreeMap<String, String>,
    /// Where the query begins that fills it.
    pub(super) query: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Insert {
    pub(super) table: Name,
    pub(super) columns: Option<Vec<String>>,
    pub(super) source: Source,
}

/// Where the rows of an INSERT begin in its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    /// Behind the word VALUES.
    Values { from: usize, word: usize },
    /// At the word that begins a query.
    Query(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Merge {
    pub(super) target: Name,
    pub(super) target_alias: Option<String>,
    /// The text of a name or of a query in parentheses.
    pub(super) source: String,
    pub(super) source_alias: Option<String>,
    pub(super) condition: String,
    /// What a row must fulfil to be inserted.
    pub(super) only_if: Option<String>,
    /// The columns and their expressions; none is every column by its name.
    pub(super) insert: Option<Vec<(String, String)>>,
}

/// How much DESCRIBE tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Describe {
    Columns,
    Extended,
    Detail,
}

/// The first word of a statement, in capitals: for the counters.
pub(super) fn first_word(sql: &str) -> String {
    match Lexer::new(sql).next() {
        Ok((Token::Word(word), _)) => word.to_uppercase(),
        _ => "OTHER".to_owned(),
    }
}

/// Reads one statement.
pub(super) fn parse(sql: &str) -> Result<Statement, SqlError> {
    let mut reader = Reader::new(sql)?;
    if reader.is_end() && !sql.trim().is_empty() {
        // Nothing but comments.
        return Err(reader.wrong());
    }
    if reader.is_end() {
        return Err(SqlError::new(
            "PARSE_EMPTY_STATEMENT",
            "42617",
            "Syntax error, unexpected empty statement.",
        ));
    }
    let Some(word) = reader.word() else {
        // A query may begin with a parenthesis.
        return if reader.is_sign("(") {
            Ok(Statement::Query)
        } else {
            Err(reader.wrong())
        };
    };
    let statement = match word.as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "FROM" => return Ok(Statement::Query),
        "CREATE" => define::create(&mut reader)?,
        "ALTER" => define::alter(&mut reader)?,
        "DROP" => define::drop(&mut reader)?,
        "INSERT" => return write::insert(&mut reader),
        "MERGE" => write::merge(&mut reader)?,
        "DESCRIBE" | "DESC" => define::describe(&mut reader)?,
        "SHOW" => define::show(&mut reader)?,
        "GRANT" => grant::grant(&mut reader)?,
        "REVOKE" => grant::revoke(&mut reader)?,
        "UPDATE" | "DELETE" | "TRUNCATE" | "OPTIMIZE" | "VACUUM" | "COPY" | "USE" | "SET" | "EXPLAIN" => {
            return Err(SqlError::unsupported(&format!("the statement {word}")));
        }
        _ => return Err(reader.wrong()),
    };
    reader.end()?;
    Ok(statement)
}

#[cfg(test)]
mod tests;
