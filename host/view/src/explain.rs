//! What a compiled view does, as text for its author: what it reads of a resource, what it computes, how, and of
//! which types the columns are.

mod path;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use crate::program::{ColumnPlan, Expr, IterationPlan, SelectPlan, Value};
use crate::trie::{Trie, TrieId};
use crate::view::View;
use path::Written;

/// How a column is computed that reads places found once for all of a context.
const FAST: &str = "fast";
/// How everything else is computed: by the interpreter of expressions.
const GENERAL: &str = "general";

/// A compiled view, to be read by people; see [`View::explain`].
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'a> {
    pub(crate) view: &'a View,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = &self.view.program;
        let count = self.view.columns.len();
        let columns = if count == 1 { "column" } else { "columns" };
        let name = self.view.name.as_deref().unwrap_or("a view without a name");
        writeln!(formatter, "{name}: {count} {columns} of {}", self.view.resource)?;
        writeln!(formatter, "\nreads")?;
        for path in reads(&program.trie) {
            writeln!(formatter, "  {path}")?;
        }
        writeln!(formatter, "\ncomputes")?;
        for line in self.lines() {
            writeln!(formatter, "  {}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A line of the program before its columns are aligned.
enum Line {
    /// How a select goes on, and how fast.
    Iteration { depth: usize, text: String },
    Column {
        depth: usize,
        name: String,
        fhir_type: String,
        how: &'static str,
        path: String,
    },
}

impl Explanation<'_> {
    fn lines(&self) -> Vec<String> {
        let program = &self.view.program;
        let mut lines = Vec::new();
        for condition in &program.wheres {
            let text = format!("only where {}  ({GENERAL})", self.written(condition));
            lines.push(Line::Iteration { depth: 0, text });
        }
        for select in &program.selects {
            self.select(select, 0, &mut lines);
        }
        aligned(&lines)
    }

    fn select(&self, select: &SelectPlan, depth: usize, lines: &mut Vec<Line>) {
        let depth = match self.iteration(select) {
            Some(text) => {
                lines.push(Line::Iteration { depth, text });
                depth + 1
            }
            None => depth,
        };
        for column in &select.columns {
            lines.push(self.column(column, depth));
        }
        for nested in &select.selects {
            self.select(nested, depth, lines);
        }
        for (number, branch) in select.unions.iter().enumerate() {
            let text = if number == 0 { "rows of" } else { "and rows of" };
            lines.push(Line::Iteration {
                depth,
                text: text.to_owned(),
            });
            self.select(branch, depth + 1, lines);
        }
    }

    fn iteration(&self, select: &SelectPlan) -> Option<String> {
        let how = if select.items.is_some() { FAST } else { GENERAL };
        match &select.iteration {
            IterationPlan::None => None,
            IterationPlan::ForEach(path) => Some(format!("for each {}  ({how})", self.written(path))),
            IterationPlan::ForEachOrNull(path) => Some(format!(
                "for each {}, or once with nulls  ({how})",
                self.written(path)
            )),
            IterationPlan::Repeat(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| self.written(path)).collect();
                Some(format!(
                    "for each {} at every depth  ({how})",
                    paths.join(" and ")
                ))
            }
        }
    }

    fn column(&self, column: &ColumnPlan, depth: usize) -> Line {
        let (name, fhir_type) = match self.view.columns.get(column.index) {
            Some(info) if info.collection => (info.name.clone(), format!("list of {}", info.fhir_type)),
            Some(info) => (info.name.clone(), info.fhir_type.clone()),
            None => (String::new(), String::new()),
        };
        Line::Column {
            depth,
            name,
            fhir_type,
            how: match column.value {
                Value::General => GENERAL,
                _ => FAST,
            },
            path: self.written(&column.expr),
        }
    }

    fn written(&self, expr: &Expr) -> String {
        Written {
            program: &self.view.program,
            expr,
        }
        .to_string()
    }
}

fn aligned(lines: &[Line]) -> Vec<String> {
    let width = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0);
    let names = width(&|line| match line {
        Line::Column { depth, name, .. } => 2 * depth + name.chars().count(),
        Line::Iteration { .. } => 0,
    });
    let types = width(&|line| match line {
        Line::Column { fhir_type, .. } => fhir_type.chars().count(),
        Line::Iteration { .. } => 0,
    });
    let text = |line: &Line| match line {
        Line::Iteration { depth, text } => format!("{}{text}", "  ".repeat(*depth)),
        Line::Column {
            depth,
            name,
            fhir_type,
            how,
            path,
        } => {
            let name = format!("{}{name}", "  ".repeat(*depth));
            format!("{name:names$}  {fhir_type:types$}  {how:7}  {path}")
        }
    };
    lines.iter().map(text).collect()
}

/// The paths of everything that is read of a resource, sorted. What is read at every depth ends in `…`.
fn reads(trie: &Trie) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    walk(trie, trie.root, &mut Vec::new(), "", &mut paths);
    paths
}

fn walk(trie: &Trie, at: TrieId, above: &mut Vec<TrieId>, path: &str, paths: &mut BTreeSet<String>) {
    if above.contains(&at) {
        paths.insert(format!("{path}…"));
        return;
    }
    above.push(at);
    let mut is_leaf = true;
    for (key, to) in trie.keys(at) {
        is_leaf = false;
        let deeper = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        walk(trie, to, above, &deeper, paths);
    }
    if is_leaf && !path.is_empty() {
        paths.insert(path.to_owned());
    }
    above.pop();
}
