//! Just enough reading of Rust for the checks: comments and literals out, functions and uses in.

use std::collections::BTreeSet;

/// A source file.
pub(crate) struct Source {
    /// As written.
    pub(crate) text: String,
    /// Line by line the same, with comments, strings and characters blanked.
    pub(crate) code: String,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Where it begins, from 1.
    pub(crate) line: usize,
    /// From its `fn` to its closing brace.
    pub(crate) lines: usize,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            code: blank(text),
        }
    }

    /// The code with what stands under `#[cfg(test)]` blanked.
    pub(crate) fn code_without_tests(&self) -> String {
        let mut code = self.code.clone();
        while let Some(start) = code.find("#[cfg(test)]") {
            let end = item_end(&code, start + "#[cfg(test)]".len());
            let blanked: String = code[start..end].chars().filter(|sign| *sign == '\n').collect();
            code.replace_range(start..end, &blanked);
        }
        code
    }

    /// The modules of the crate that `crate::…` paths name.
    pub(crate) fn modules_used(&self) -> BTreeSet<String> {
        let code = self.code_without_tests();
        let mut used = BTreeSet::new();
        for (start, _) in code.match_indices("crate::") {
            let is_path_start =
                !code[..start].ends_with(|sign: char| sign.is_alphanumeric() || sign == '_' || sign == ':');
            if !is_path_start {
                continue;
            }
            let rest = &code[start + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(heads(group)),
                None => used.extend(word(rest)),
            }
        }
        used.retain(|name| name.starts_with(|sign: char| sign.is_lowercase()));
        used
    }
}

/// The first word of each member of a `{…}` group whose opening brace is already behind.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut at_start = true;
    for (index, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            sign if at_start && depth == 0 && !sign.is_whitespace() => {
                heads.extend(word(&group[index..]));
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|sign: char| !sign.is_alphanumeric() && sign != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Where the item that begins at `from` ends: after its block, or after its semicolon.
fn item_end(code: &str, from: usize) -> usize {
    let mut depth = 0;
    for (index, sign) in code[from..].char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return from + index + 1;
                }
            }
            ';' if depth == 0 => return from + index + 1,
            _ => {}
        }
    }
    code.len()
}

/// All functions that have a body, nested ones too.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|sign| sign.is_alphanumeric() || sign == '_') {
            continue;
        }
        let Some(name) = word(code[start + 3..].trim_start()) else {
            continue;
        };
        let end = item_end(code, start);
        if code[start..end].contains('{') {
            let line = 1 + code[..start].matches('\n').count();
            found.push(Function {
                name,
                line,
                lines: 1 + code[start..end].matches('\n').count(),
            });
        }
    }
    found
}

/// Blanks comments and literals, keeping the lines.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            out.extend(
                bytes[at..end]
                    .iter()
                    .map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }),
            );
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Where the comment or literal that begins here ends; `at` itself when none does.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let after_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + find(rest, b"*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with(b"\"") {
        return at + quoted_end(rest, b'"');
    }
    if !after_word
        && (rest.starts_with(b"r\"")
            || rest.starts_with(b"r#")
            || rest.starts_with(b"br\"")
            || rest.starts_with(b"br#"))
    {
        return raw_end(bytes, at);
    }
    if rest.starts_with(b"'") && is_character(rest) {
        return at + quoted_end(rest, b'\'');
    }
    at
}

/// A character literal, as opposed to a lifetime.
fn is_character(rest: &[u8]) -> bool {
    rest.get(1) == Some(&b'\\') || rest.iter().take(6).skip(2).any(|byte| *byte == b'\'')
}

fn quoted_end(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let open = rest
        .iter()
        .position(|byte| *byte == b'#' || *byte == b'"')
        .unwrap_or(0);
    let hashes = rest[open..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(open + hashes) != Some(&b'"') {
        // A raw identifier such as `r#type`.
        return at;
    }
    let close: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let body = open + hashes + 1;
    at + body + find(&rest[body..], &close).map_or(rest.len() - body, |end| end + close.len())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_blanked_and_lines_kept() {
        let code = blank("let a = \"fn x() {\"; // fn y\nlet b = '{'; let c: &'static str = r#\"}\n\"#;");
        assert_eq!(code.matches('\n').count(), 2);
        assert!(!code.contains('{') && !code.contains('}') && code.contains("'static"));
    }

    #[test]
    fn uses_are_found_in_paths_and_groups() {
        let source = Source::new(
            "use crate::{log::{Log, LogError}, change};\nfn f() { crate::batch::x() }\nuse crate::Type;",
        );
        assert_eq!(
            source.modules_used().into_iter().collect::<Vec<_>>(),
            ["batch", "change", "log"]
        );
    }

    #[test]
    fn a_function_is_measured_to_its_closing_brace() {
        let found = functions("fn one() {\n}\ntrait T { fn none(&self); }\nfn two() {\n  if x {\n  }\n}\n");
        let measured: Vec<_> = found
            .iter()
            .map(|function| (&*function.name, function.lines))
            .collect();
        assert_eq!(measured, [("one", 2), ("two", 4)]);
    }

    #[test]
    fn tests_are_left_out() {
        let source = Source::new(
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(test)]\nmod tests;\nfn c() {}",
        );
        let names: Vec<_> = functions(&source.code_without_tests())
            .into_iter()
            .map(|function| function.name)
            .collect();
        assert_eq!(names, ["a", "c"]);
    }
}
