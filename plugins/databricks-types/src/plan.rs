//! A table compared with what a view wants: columns to add, and differences that only an operator may close.

use lakefeed_plugin_api::{
    Blocked, BlockedKind, EvolutionPlan, MappedColumn, MappedSchema, TableColumn, TableSchema,
};

/// What must change so that the view's rows fit. Only columns are added; the rest comes with the statement to run.
pub(crate) fn plan(have: &TableSchema, want: &MappedSchema) -> EvolutionPlan {
    let mut plan = EvolutionPlan {
        table: have.table.clone(),
        ..EvolutionPlan::default()
    };
    let table = quoted_table(&have.table.name);
    for column in &want.columns {
        let existing = have
            .columns
            .iter()
            .find(|existing| is_same(&existing.name, &column.name));
        match existing {
            Some(existing) => plan.blocked.extend(other_type(existing, column, &table)),
            None => match renamed(have, want, column, &table) {
                Some(blocked) => plan.blocked.push(blocked),
                None => plan.add.push(column.clone()),
            },
        }
    }
    let demanded = have
        .columns
        .iter()
        .filter_map(|column| demanded(column, want, &table));
    plan.blocked.extend(demanded);
    plan
}

/// Unity Catalog compares names without regard to case.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn is_wanted(name: &str, want: &MappedSchema) -> bool {
    want.columns.iter().any(|column| is_same(&column.name, name))
}

/// A column whose type in the table is not the one that the rows have. A table's wider type takes the values as they
/// are; a narrower or another one does not.
fn other_type(existing: &TableColumn, wanted: &MappedColumn, table: &str) -> Option<Blocked> {
    let (has, wants) = (existing.sql_type.to_uppercase(), wanted.sql_type.to_uppercase());
    if has == wants || takes(&has, &wants) {
        return None;
    }
    // Delta widens these in place where the table has type widening; nothing else can be altered.
    let is_widening = matches!((has.as_str(), wants.as_str()), ("INT", "BIGINT" | "DOUBLE"));
    let name = quoted(&existing.name);
    let ddl = if is_widening {
        format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {wants}")
    } else {
        String::new()
    };
    Some(Blocked {
        kind: BlockedKind::Narrow,
        column: existing.name.clone(),
        reason: format!("the table has {has}, the view gives {wants}"),
        ddl,
    })
}

/// Whether a column of the table's type takes the values of the view's type without loss, in both write modes.
fn takes(has: &str, wants: &str) -> bool {
    match wants {
        "INT" => matches!(has, "BIGINT" | "LONG" | "INTEGER"),
        "BIGINT" => has == "LONG",
        "STRING" => has.starts_with("VARCHAR("),
        _ => false,
    }
}

/// A column that would be added although the table has one whose name differs by its spelling alone and which the view
/// no longer fills: adding it would spread one column's values over two.
fn renamed(have: &TableSchema, want: &MappedSchema, column: &MappedColumn, table: &str) -> Option<Blocked> {
    let spelled = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let left = have
        .columns
        .iter()
        .filter(|existing| !is_wanted(&existing.name, want));
    let old = left
        .into_iter()
        .find(|old| spelled(&old.name) == spelled(&column.name))?;
    let (from, to) = (quoted(&old.name), quoted(&column.name));
    Some(Blocked {
        kind: BlockedKind::Rename,
        column: column.name.clone(),
        reason: format!("the table calls it {from}; name it so in the view, or rename it in the table"),
        // Renaming needs column mapping by name (W 4.7).
        ddl: format!(
            "ALTER TABLE {table} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name'); \
             ALTER TABLE {table} RENAME COLUMN {from} TO {to}"
        ),
    })
}

/// A column that must be filled and that the view does not have.
fn demanded(column: &TableColumn, want: &MappedSchema, table: &str) -> Option<Blocked> {
    if column.nullable || is_wanted(&column.name, want) {
        return None;
    }
    let name = quoted(&column.name);
    Some(Blocked {
        kind: BlockedKind::Drop,
        column: column.name.clone(),
        reason: format!("the table demands {name}, and the view does not have it"),
        ddl: format!("ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL"),
    })
}

fn quoted_table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(quoted).collect();
    parts.join(".")
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::{ColumnType, ScalarType, TableRef};

    use super::*;

    /// Columns as `name:TYPE`, `!` for one that must be filled.
    fn check(have: &str, want: &str, expect: &[&str]) {
        let table_column = |part: &str| {
            let (name, sql_type) = part.split_once(':').unwrap();
            TableColumn {
                name: name.into(),
                sql_type: sql_type.trim_end_matches('!').into(),
                column_type: None,
                nullable: !sql_type.ends_with('!'),
            }
        };
        let mapped = |part: &str| MappedColumn {
            name: table_column(part).name,
            column_type: ColumnType::Scalar(ScalarType::Utf8),
            sql_type: table_column(part).sql_type,
        };
        let have = TableSchema {
            table: TableRef::named("c.s.t"),
            exists: true,
            columns: have.split_whitespace().map(table_column).collect(),
            ..TableSchema::default()
        };
        let want = MappedSchema {
            columns: want.split_whitespace().map(mapped).collect(),
        };
        let plan = plan(&have, &want);
        let adds = plan
            .add
            .iter()
            .map(|column| format!("add {} {}", column.name, column.sql_type));
        let blocked = plan
            .blocked
            .iter()
            .map(|blocked| format!("{:?} {} [{}]", blocked.kind, blocked.column, blocked.ddl));
        assert_eq!(adds.chain(blocked).collect::<Vec<_>>(), expect, "{have:?}");
    }

    #[test]
    fn only_new_columns_are_added_and_the_rest_is_left_to_an_operator() {
        check("id:string extra:INT", "ID:STRING", &[]);
        check(
            "id:STRING",
            "id:STRING n:INT l:ARRAY<STRING>",
            &["add n INT", "add l ARRAY<STRING>"],
        );
        check("n:BIGINT", "n:INT", &[]);
        check("s:VARCHAR(10)", "s:STRING", &[]);
        check(
            "n:INT",
            "n:BIGINT",
            &["Narrow n [ALTER TABLE `c`.`s`.`t` ALTER COLUMN `n` TYPE BIGINT]"],
        );
        check("n:BIGINT", "n:STRING", &["Narrow n []"]);
        check("t:TIMESTAMP_NTZ", "t:TIMESTAMP", &["Narrow t []"]);
        check(
            "birthDate:DATE",
            "birth_date:DATE",
            &[
                "Rename birth_date [ALTER TABLE `c`.`s`.`t` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name'); \
               ALTER TABLE `c`.`s`.`t` RENAME COLUMN `birthDate` TO `birth_date`]",
            ],
        );
        check(
            "x:STRING!",
            "",
            &["Drop x [ALTER TABLE `c`.`s`.`t` ALTER COLUMN `x` DROP NOT NULL]"],
        );
        check("x:STRING!", "x:STRING", &[]);
    }
}
