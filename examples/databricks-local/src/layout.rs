//! How answers are laid out: JSON that fits on a line stays on it, rows stand under their columns.

use serde_json::Value;

use crate::answer::Rows;

/// How wide a line may get, without its margin.
const WIDTH: usize = 104;

/// JSON as a person would break its lines.
pub(crate) fn json(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

/// Writes a value where `taken` of the line is taken already; what goes to further lines is indented by `indent` and more.
fn write(value: &Value, indent: usize, taken: usize, text: &mut String) {
    let line = on_one_line(value);
    if taken + line.chars().count() <= WIDTH {
        text.push_str(&line);
        return;
    }
    let inner = indent + 2;
    let margin = " ".repeat(inner);
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ",\n" } else { "\n" });
                text.push_str(&margin);
                write(item, inner, inner, text);
            }
            text.push_str(&format!("\n{}]", " ".repeat(indent)));
        }
        Value::Object(members) if !members.is_empty() => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { ",\n" } else { "\n" });
                let name = format!("{margin}{}: ", Value::from(name.as_str()));
                text.push_str(&name);
                write(member, inner, name.chars().count(), text);
            }
            text.push_str(&format!("\n{}}}", " ".repeat(indent)));
        }
        _ => text.push_str(&line),
    }
}

fn on_one_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(on_one_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member = |(name, member): (&String, &Value)| {
                format!("{}: {}", Value::from(name.as_str()), on_one_line(member))
            };
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        }
        value => value.to_string(),
    }
}

/// Rows under their columns; where that is too wide, a line for each value.
pub(crate) fn rows(rows: &Rows) -> String {
    let width = |column: usize| {
        let cells = rows.rows.iter().filter_map(|row| row.get(column));
        let cells = cells.chain(rows.head.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.head.len()).map(width).collect();
    let count = match rows.rows.len() {
        1 => "(1 row)".to_owned(),
        count => format!("({count} rows)"),
    };
    let whole = widths.iter().sum::<usize>() + 2 * widths.len();
    if whole > WIDTH && !rows.rows.is_empty() {
        return format!("{}\n{count}", upright(rows));
    }
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths);
        let padded: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut lines = vec![line(&rows.head), line(&rules)];
    lines.extend(rows.rows.iter().map(|row| line(row)));
    lines.push(count);
    lines.join("\n")
}

fn upright(rows: &Rows) -> String {
    let width = rows
        .head
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let block = |row: &Vec<String>| {
        let pairs = rows.head.iter().zip(row);
        let lines: Vec<String> = pairs
            .map(|(name, cell)| format!("{name:<width$}  {cell}"))
            .collect();
        lines.join("\n")
    };
    rows.rows.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_fits_on_a_line_stays_on_it() {
        let small = json!({"a": [1, "x"], "b": {}});
        assert_eq!(json(&small), r#"{"a": [1, "x"], "b": {}}"#);
        let long = "y".repeat(WIDTH - 20);
        let expected =
            format!("{{\n  \"long\": \"{long}\",\n  \"small\": {{\"a\": [1, \"x\"], \"b\": {{}}}}\n}}");
        assert_eq!(json(&json!({"long": long, "small": small})), expected);
    }

    #[test]
    fn rows_stand_under_their_columns_or_upright() {
        let head = vec!["id".to_owned(), "name".to_owned()];
        let narrow = Rows {
            head: head.clone(),
            rows: vec![vec!["1".to_owned(), "Smith".to_owned()]],
        };
        assert_eq!(rows(&narrow), "id  name\n──  ─────\n1   Smith\n(1 row)");
        let wide = Rows {
            head,
            rows: vec![vec!["1".to_owned(), "x".repeat(WIDTH)]],
        };
        assert!(rows(&wide).starts_with("id    1\nname  xxx"));
    }
}
