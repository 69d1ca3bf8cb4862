//! The rules for columns' names: what the ingest service takes (W 2.4) and what Delta does.

use std::collections::HashSet;

use lakefeed_plugin_api::ViewSchema;

use crate::TypesError;

/// The most columns that a table of the ingest service may have (W 2.4).
const MOST: usize = 2_000;
/// The longest name of a column in Unity Catalog.
const LONGEST: usize = 255;

/// Refuses a view that has a column whose name no table here can have, so that it is known before the first row.
pub(crate) fn check(view: &ViewSchema) -> Result<(), TypesError> {
    if view.columns.len() > MOST {
        return Err(TypesError::Columns {
            view: view.view.clone(),
            count: view.columns.len(),
            most: MOST,
        });
    }
    let mut seen = HashSet::new();
    for (index, column) in view.columns.iter().enumerate() {
        let (name, place) = (&column.name, index + 1);
        if let Some(problem) = problem(name) {
            return Err(TypesError::Name {
                view: view.view.clone(),
                column: name.clone(),
                place,
                problem,
            });
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(TypesError::Twice {
                view: view.view.clone(),
                column: name.clone(),
                place,
            });
        }
    }
    Ok(())
}

fn problem(name: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() {
        Some("a column needs a name")
    } else if name.len() > LONGEST {
        Some("the name is longer than 255 characters")
    } else if !name.bytes().all(is_plain) {
        Some("the name has something other than ASCII letters, digits and `_`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::{PluginError, ViewColumn};

    use super::*;

    fn answer(names: &[&str]) -> String {
        let column = |name: &&str| ViewColumn {
            name: (*name).into(),
            ..ViewColumn::default()
        };
        let view = ViewSchema {
            view: "patient_flat".into(),
            columns: names.iter().map(column).collect(),
        };
        check(&view).map_or_else(|error| PluginError::from(error).to_string(), |()| "good".into())
    }

    #[test]
    fn a_bad_name_is_refused_with_its_place_in_the_view() {
        assert_eq!(answer(&["id", "birth_date", "N1"]), "good");
        assert_eq!(
            answer(&["id", "birth-date"]),
            "view `patient_flat`, select.column `birth-date` (the 2.): the name has something other than ASCII letters, \
             digits and `_` (rename the column: letters, digits and `_`) [TYPES-001]"
        );
        for bad in ["", "a b", "größe", "a.b", "a`b", &"x".repeat(256)] {
            assert!(answer(&[bad]).ends_with("[TYPES-001]"), "{bad}");
        }
        assert!(answer(&["id", "ID"]).ends_with("[TYPES-002]"));
        let many: Vec<String> = (0..2_001).map(|n| format!("c{n}")).collect();
        assert!(answer(&many.iter().map(String::as_str).collect::<Vec<_>>()).ends_with("[TYPES-004]"));
    }
}
