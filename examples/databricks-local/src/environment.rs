//! The variables that commands name: shown by name, sent by value.

use crate::Failure;

/// Variables in the order in which they were set.
#[derive(Default)]
pub(crate) struct Environment {
    variables: Vec<(String, String)>,
}

impl Environment {
    /// Sets a variable, or sets it anew.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    /// The value of a variable that was set.
    pub(crate) fn get(&self, name: &str) -> Result<&str, Failure> {
        let mut variables = self.variables.iter();
        match variables.find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value),
            None => Err(format!("the variable {name} is not set").into()),
        }
    }

    /// The text as a shell reads it in a here-document, or between double quotes.
    pub(crate) fn expand(&self, text: &str) -> Result<String, Failure> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '$']) {
            let (before, from) = rest.split_at(at);
            expanded.push_str(before);
            let after = &from[1..];
            if from.starts_with('\\') {
                rest = match after.chars().next() {
                    Some('\n') => &after[1..],
                    Some(sign @ ('$' | '`' | '\\')) => {
                        expanded.push(sign);
                        &after[1..]
                    }
                    _ => {
                        expanded.push('\\');
                        after
                    }
                };
                continue;
            }
            let (name, after) = name(after);
            match name {
                "" => expanded.push('$'),
                name => expanded.push_str(self.get(name)?),
            }
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// The text with a variable's name wherever a secret stood.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.variables.iter().filter(|(name, _)| is_secret(name)) {
            text = text.replace(value.as_str(), &format!("${name}"));
        }
        text
    }

    /// A line that sets a variable in a shell; for a secret, one that only names it.
    pub(crate) fn shown(&self, name: &str) -> Result<String, Failure> {
        let value = self.get(name)?;
        Ok(match is_secret(name) {
            true => format!("export {name}=…   # a secret"),
            false => format!("export {name}={value}"),
        })
    }

    /// A script that sets every variable, the secrets too.
    pub(crate) fn script(&self) -> String {
        let line = |(name, value): &(String, String)| format!("export {name}='{value}'\n");
        self.variables.iter().map(line).collect()
    }
}

fn is_secret(name: &str) -> bool {
    name.ends_with("_SECRET") || name.ends_with("_TOKEN")
}

/// The name behind a `$`, with braces or without, and what follows it. It is empty where none stands.
fn name(text: &str) -> (&str, &str) {
    let is_part = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    match text.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
        Some(split) => split,
        None => text.split_at(text.find(|sign| !is_part(sign)).unwrap_or(text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let mut environment = Environment::default();
        environment.set("CATALOG", "lake");
        environment.set("DATABRICKS_TOKEN", "dapi0");
        environment
    }

    #[test]
    fn a_text_is_read_as_a_shell_reads_it() {
        for (text, expected) in [
            ("$CATALOG.s and ${CATALOG}_2", "lake.s and lake_2"),
            (r"x/\$status \\ \n", r"x/$status \ \n"),
            ("one \\\n  line", "one   line"),
            ("costs 5 $", "costs 5 $"),
        ] {
            assert_eq!(environment().expand(text).unwrap(), expected);
        }
    }

    #[test]
    fn a_variable_that_was_not_set_is_named() {
        let failure = environment().expand("$CATALOGUE").unwrap_err();
        assert!(failure.to_string().contains("CATALOGUE"));
    }

    #[test]
    fn a_secret_is_shown_by_name_only() {
        let environment = environment();
        assert_eq!(environment.hide("Bearer dapi0"), "Bearer $DATABRICKS_TOKEN");
        assert!(!environment.shown("DATABRICKS_TOKEN").unwrap().contains("dapi0"));
        assert_eq!(environment.shown("CATALOG").unwrap(), "export CATALOG=lake");
    }
}
