//! INSERT and MERGE.

use super::define::names;
use super::reader::Reader;
use super::{Insert, Merge, Source, Statement};
use crate::sql::error::SqlError;

pub(super) fn insert(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("INSERT")?;
    if reader.is_word("OVERWRITE") {
        return Err(SqlError::unsupported("INSERT OVERWRITE"));
    }
    reader.expect("INTO")?;
    reader.eat("TABLE")?;
    let table = reader.name()?;
    let columns = if reader.eat_sign("(")? {
        Some(names(reader)?)
    } else {
        None
    };
    if reader.is_word("BY") || reader.is_word("REPLACE") {
        return Err(SqlError::unsupported("INSERT BY NAME and INSERT REPLACE"));
    }
    let word = reader.span.start;
    // The rows are not walked through here: there may be megabytes of them.
    let source = match reader.word().as_deref() {
        Some("VALUES") => Source::Values {
            from: reader.span.end,
            word,
        },
        Some("SELECT" | "WITH" | "TABLE" | "FROM") => Source::Query(word),
        _ => return Err(reader.wrong()),
    };
    Ok(Statement::Insert(Insert {
        table,
        columns,
        source,
    }))
}

pub(super) fn merge(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("MERGE")?;
    if reader.is_word("WITH") {
        return Err(SqlError::unsupported("MERGE WITH SCHEMA EVOLUTION"));
    }
    reader.expect("INTO")?;
    let target = reader.name()?;
    let target_alias = alias(reader, "USING")?;
    reader.expect("USING")?;
    let source = if reader.is_sign("(") {
        let start = reader.span.start;
        reader.advance()?;
        reader.expression_until(|reader| reader.is_sign(")"))?;
        let end = reader.span.end;
        reader.advance()?;
        reader.sql[start..end].to_owned()
    } else {
        let start = reader.span.start;
        reader.name()?;
        reader.sql[start..reader.span.start].trim().to_owned()
    };
    let source_alias = alias(reader, "ON")?;
    reader.expect("ON")?;
    let condition = reader
        .expression_until(|reader| reader.is_word("WHEN"))?
        .to_owned();
    reader.expect("WHEN")?;
    if reader.is_word("MATCHED") {
        return Err(SqlError::unsupported("MERGE … WHEN MATCHED"));
    }
    reader.expect("NOT MATCHED")?;
    if reader.eat("BY")? {
        reader.expect("TARGET")?;
    }
    let only_if = if reader.eat("AND")? {
        Some(
            reader
                .expression_until(|reader| reader.is_word("THEN"))?
                .to_owned(),
        )
    } else {
        None
    };
    reader.expect("THEN INSERT")?;
    Ok(Statement::Merge(Merge {
        target,
        target_alias,
        source,
        source_alias,
        condition,
        only_if,
        insert: inserted(reader)?,
    }))
}

/// A name after AS, or just a name, before a word.
fn alias(reader: &mut Reader<'_>, before: &str) -> Result<Option<String>, SqlError> {
    if reader.eat("AS")? || !reader.is_word(before) {
        return reader.part().map(Some);
    }
    Ok(None)
}

fn inserted(reader: &mut Reader<'_>) -> Result<Option<Vec<(String, String)>>, SqlError> {
    if reader.eat_sign("*")? {
        return Ok(None);
    }
    reader.expect_sign("(")?;
    let mut columns = Vec::new();
    loop {
        // A column may be written with the target's alias before it.
        let name = reader.name()?;
        columns.extend(name.into_iter().next_back());
        if !reader.eat_sign(",")? {
            break;
        }
    }
    reader.expect_sign(")")?;
    reader.expect("VALUES")?;
    reader.expect_sign("(")?;
    let mut values = Vec::new();
    loop {
        let ends = |reader: &Reader<'_>| reader.is_sign(",") || reader.is_sign(")");
        values.push(reader.expression_until(ends)?.to_owned());
        if !reader.eat_sign(",")? {
            break;
        }
    }
    reader.expect_sign(")")?;
    if columns.len() != values.len() {
        return Err(SqlError::new(
            "MERGE_INSERT_ARITY_MISMATCH",
            "42802",
            format!(
                "INSERT names {} column(s) and has {} value(s).",
                columns.len(),
                values.len()
            ),
        ));
    }
    Ok(Some(columns.into_iter().zip(values).collect()))
}
