//! What to write instead of what other languages write: their operators, keywords and quotes.

use super::lexer::Token;

/// The remedy for a character that no token begins with.
pub(super) fn character(next: char) -> &'static str {
    match next {
        '?' => "for a choice write `iif(condition, then, otherwise)`",
        '!' => "write `.not()` behind the condition, or `!=` between two values",
        '‘' | '’' | '“' | '”' | '´' => "put text between straight quotes: `'text'`",
        '#' | '\\' | '^' => "remove it; names are letters, digits and `_`",
        _ => "remove it; names are letters, digits and `_`, any other name stands between backticks",
    }
}

/// The remedy for a token that stands where a path or a value belongs, and the one before it.
pub(super) fn instead_of_value(token: &Token, before: Option<&Token>) -> &'static str {
    let Token::Symbol(symbol) = token else {
        return "write a path, a literal or a function there";
    };
    let before = match before {
        Some(Token::Symbol(before)) => *before,
        _ => "",
    };
    match (before, *symbol) {
        ("=", "=") => "compare with a single `=`",
        ("&", "&") => "write `and` between two conditions",
        ("|", "|") => "write `or` between two conditions",
        ("<", ">") => "for unequal write `!=`",
        ("-", ">") => "write `.` between an element and what lies in it",
        ("[", "*") => "leave `[*]` out: a path goes into every item by itself",
        ("[", "]") => "leave `[]` out: a path goes into every item by itself",
        (_, "*") => "leave it out: a path goes into every item by itself",
        ("(", ".") | ("", ".") => "leave the dot out: a path begins at an element",
        (_, ")") => "write a value before the bracket, or remove what comes before it",
        _ => "write a path, a literal or a function there",
    }
}

/// The remedy for a token that stands behind a complete expression.
pub(super) fn instead_of_operator(token: &Token, before: Option<&Token>) -> String {
    if matches!(before, Some(Token::Name(name)) if name.eq_ignore_ascii_case("not")) {
        return "`not` stands behind what it turns round: `active.not()`".to_owned();
    }
    let plain = match token {
        Token::Name(name) => return instead_of_word(name),
        Token::Symbol(")") => "remove it, or open the bracket that it closes",
        Token::Symbol("]") => "remove it, or open the bracket `[` that it closes",
        Token::Symbol(":") => "remove it; for a choice write `iif(condition, then, otherwise)`",
        Token::Symbol("(") => "remove it; arguments stand directly behind a function's name",
        Token::Symbol(";") => "remove it; there is one expression and no end mark",
        _ => "join the parts with an operator, or remove it",
    };
    plain.to_owned()
}

fn instead_of_word(word: &str) -> String {
    let lower = word.to_lowercase();
    match lower.as_str() {
        "and" | "or" | "xor" | "implies" | "in" | "contains" | "is" | "as" | "div" | "mod" => {
            format!("write it in small letters: `{lower}`")
        }
        "like" | "rlike" | "regexp" => {
            "use `.startsWith('…')`, `.contains('…')` or `.matches('…')`".to_owned()
        }
        "eq" => "write `=`".to_owned(),
        "ne" => "write `!=`".to_owned(),
        "between" => "write both comparisons, with `and` between them".to_owned(),
        "where" => "write it as a function: `name.where(use = 'official')`".to_owned(),
        _ => "join the parts with an operator or a dot, or remove it".to_owned(),
    }
}
