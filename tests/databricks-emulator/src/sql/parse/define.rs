//! CREATE, ALTER, DROP, DESCRIBE, SHOW.

use super::grant::securable;
use super::reader::Reader;
use super::{CreateSchema, CreateTable, Describe, Statement};
use crate::sql::error::SqlError;

pub(super) fn create(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("CREATE")?;
    if reader.eat("SCHEMA")? || reader.eat("DATABASE")? {
        return create_schema(reader);
    }
    let replaces = reader.eat("OR")?;
    if replaces {
        return Err(SqlError::unsupported("CREATE OR REPLACE"));
    }
    if reader.eat("EXTERNAL")? || reader.is_word("TABLE") {
        reader.expect("TABLE")?;
        return create_table(reader).map(Statement::CreateTable);
    }
    Err(reader.wrong())
}

fn create_schema(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    let mut schema = CreateSchema {
        if_not_exists: reader.if_not_exists()?,
        name: reader.name()?,
        ..CreateSchema::default()
    };
    loop {
        if reader.eat("MANAGED")? {
            reader.expect("LOCATION")?;
            schema.storage_root = Some(reader.text()?);
        } else if reader.eat("COMMENT")? {
            schema.comment = Some(reader.text()?);
        } else if reader.is_word("LOCATION") {
            return Err(SqlError::new(
                "UNITY_CATALOG_SCHEMA_LOCATION_NOT_SUPPORTED",
                "0A000",
                "CREATE SCHEMA with LOCATION is not supported in Unity Catalog. Use MANAGED LOCATION instead.",
            ));
        } else {
            return Ok(Statement::CreateSchema(schema));
        }
    }
}

fn create_table(reader: &mut Reader<'_>) -> Result<CreateTable, SqlError> {
    let mut table = CreateTable {
        if_not_exists: reader.if_not_exists()?,
        name: reader.name()?,
        ..CreateTable::default()
    };
    if reader.eat_sign("(")? {
        table.columns = reader.columns()?;
    }
    loop {
        if reader.eat("USING")? {
            let format = reader.part()?;
            if !format.eq_ignore_ascii_case("delta") {
                return Err(SqlError::unsupported("another format than DELTA"));
            }
        } else if reader.eat("LOCATION")? {
            table.location = Some(reader.text()?);
        } else if reader.eat("COMMENT")? {
            table.comment = Some(reader.text()?);
        } else if reader.eat("PARTITIONED")? {
            reader.expect("BY")?;
            reader.expect_sign("(")?;
            table.partitions = names(reader)?;
        } else if reader.eat("CLUSTER")? {
            // Where rows lie is nothing that a reader sees.
            reader.expect("BY")?;
            if reader.eat_sign("(")? {
                names(reader)?;
            } else {
                reader.part()?;
            }
        } else if reader.eat("TBLPROPERTIES")? {
            table.properties = properties(reader)?;
        } else if reader.is_word("AS") {
            reader.advance()?;
            table.query = Some(reader.span.start);
            while !reader.is_end() {
                reader.advance()?;
            }
        } else {
            return Ok(table);
        }
    }
}

/// Names up to the closing parenthesis, which is passed.
pub(super) fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, SqlError> {
    let mut names = Vec::new();
    loop {
        names.push(reader.part()?);
        if reader.eat_sign(",")? {
            continue;
        }
        reader.expect_sign(")")?;
        return Ok(names);
    }
}

fn properties(reader: &mut Reader<'_>) -> Result<std::collections::BTreeMap<String, String>, SqlError> {
    let mut found = std::collections::BTreeMap::new();
    reader.expect_sign("(")?;
    loop {
        let key = match reader.text() {
            Ok(text) => text,
            Err(_) => reader.name()?.join("."),
        };
        if !reader.eat_sign("=")? && !reader.eat_sign("==")? {
            return Err(reader.wrong());
        }
        let value = match reader.text() {
            Ok(text) => text,
            Err(_) => {
                let ends = |reader: &Reader<'_>| reader.is_sign(",") || reader.is_sign(")");
                reader.expression_until(ends)?.to_owned()
            }
        };
        found.insert(key, value);
        if reader.eat_sign(",")? {
            continue;
        }
        reader.expect_sign(")")?;
        return Ok(found);
    }
}

pub(super) fn alter(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("ALTER TABLE")?;
    let table = reader.name()?;
    if reader.eat("RENAME")? {
        reader.expect("COLUMN")?;
        let from = reader.part()?;
        reader.expect("TO")?;
        let to = reader.part()?;
        return Ok(Statement::RenameColumn { table, from, to });
    }
    if reader.eat("DROP")? {
        return drop_columns(reader, table);
    }
    if reader.eat("SET")? {
        reader.expect("TBLPROPERTIES")?;
        let properties = properties(reader)?;
        return Ok(Statement::SetProperties { table, properties });
    }
    if !reader.eat("ADD")? {
        return Err(SqlError::unsupported(
            "ALTER TABLE other than to add, rename and drop columns and to set properties",
        ));
    }
    let is_word = reader.eat("COLUMNS")? || reader.eat("COLUMN")?;
    if !is_word && (reader.is_word("CONSTRAINT") || reader.is_word("PARTITION")) {
        return Err(SqlError::unsupported("constraints and partitions in ALTER TABLE"));
    }
    let columns = if reader.eat_sign("(")? {
        reader.columns()?
    } else {
        let mut columns = vec![reader.column()?];
        while reader.eat_sign(",")? {
            columns.push(reader.column()?);
        }
        columns
    };
    Ok(Statement::AddColumns { table, columns })
}

fn drop_columns(reader: &mut Reader<'_>, table: super::Name) -> Result<Statement, SqlError> {
    if !reader.eat("COLUMNS")? {
        reader.expect("COLUMN")?;
    }
    let if_exists = reader.if_exists()?;
    let columns = if reader.eat_sign("(")? {
        names(reader)?
    } else {
        let mut columns = vec![reader.part()?];
        while reader.eat_sign(",")? {
            columns.push(reader.part()?);
        }
        columns
    };
    Ok(Statement::DropColumns {
        table,
        columns,
        if_exists,
    })
}

pub(super) fn drop(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("DROP")?;
    if reader.eat("TABLE")? {
        let if_exists = reader.if_exists()?;
        let table = reader.name()?;
        reader.eat("PURGE")?;
        return Ok(Statement::DropTable { table, if_exists });
    }
    if reader.eat("SCHEMA")? || reader.eat("DATABASE")? {
        let if_exists = reader.if_exists()?;
        let schema = reader.name()?;
        let cascade = reader.eat("CASCADE")?;
        reader.eat("RESTRICT")?;
        return Ok(Statement::DropSchema {
            schema,
            if_exists,
            cascade,
        });
    }
    Err(reader.wrong())
}

pub(super) fn describe(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.advance()?;
    if reader.is_word("HISTORY") {
        return Err(SqlError::unsupported("DESCRIBE HISTORY"));
    }
    let what = if reader.eat("DETAIL")? {
        Describe::Detail
    } else {
        reader.eat("TABLE")?;
        if reader.eat("EXTENDED")? {
            Describe::Extended
        } else {
            Describe::Columns
        }
    };
    let table = reader.name()?;
    Ok(Statement::Describe { table, what })
}

pub(super) fn show(reader: &mut Reader<'_>) -> Result<Statement, SqlError> {
    reader.expect("SHOW")?;
    let word = reader.word().unwrap_or_default();
    match word.as_str() {
        "CATALOGS" => {
            reader.advance()?;
            Ok(Statement::ShowCatalogs)
        }
        "SCHEMAS" | "DATABASES" => {
            reader.advance()?;
            let catalog = if reader.eat("IN")? || reader.eat("FROM")? {
                Some(reader.part()?)
            } else {
                None
            };
            Ok(Statement::ShowSchemas { catalog })
        }
        "TABLES" => {
            reader.advance()?;
            let schema = if reader.eat("IN")? || reader.eat("FROM")? {
                Some(reader.name()?)
            } else {
                None
            };
            Ok(Statement::ShowTables { schema })
        }
        "COLUMNS" => {
            reader.advance()?;
            if !reader.eat("IN")? {
                reader.expect("FROM")?;
            }
            Ok(Statement::ShowColumns {
                table: reader.name()?,
            })
        }
        "GRANTS" | "GRANT" => {
            reader.advance()?;
            let principal = if reader.is_word("ON") {
                None
            } else {
                Some(reader.part()?)
            };
            reader.expect("ON")?;
            Ok(Statement::ShowGrants {
                principal,
                on: securable(reader)?,
            })
        }
        _ => Err(reader.wrong()),
    }
}
