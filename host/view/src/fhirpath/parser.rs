//! Tokens to a tree, by precedence climbing.

use super::hint;
use super::lexer::{self, Placed, Token};
use super::{Literal, Node, NodeKind, Operator, SyntaxError, TypeOperator};

/// How deep a tree may be.
const MAX_DEPTH: usize = 200;
/// How tightly `is` and `as` bind: between `|` and `+`.
const TYPE_BINDING: u8 = 8;
const UNITS: [&str; 16] = [
    "year",
    "years",
    "month",
    "months",
    "week",
    "weeks",
    "day",
    "days",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
];

/// Reads one expression.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser {
        tokens: lexer::tokens(text)?,
        next: 0,
        depth: 0,
    };
    if parser.peek() == &Token::End {
        return Err(SyntaxError::new(
            1,
            "the expression is empty",
            "write a path, such as `id` or `name.family`",
        ));
    }
    let node = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(node),
        token => {
            let remedy = hint::instead_of_operator(token, parser.before(1));
            let problem = format!("unexpected {}", described(token));
            Err(SyntaxError::new(parser.at(), problem, remedy))
        }
    }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.next)
            .map_or(&Token::End, |placed| &placed.token)
    }

    /// The token so many before the next one.
    fn before(&self, count: usize) -> Option<&Token> {
        let at = self.next.checked_sub(count)?;
        self.tokens.get(at).map(|placed| &placed.token)
    }

    fn at(&self) -> usize {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .map_or(1, |placed| placed.at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let fits = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        self.next += usize::from(fits);
        fits
    }

    fn expect(&mut self, symbol: &str) -> Result<(), SyntaxError> {
        if self.takes(symbol) {
            return Ok(());
        }
        let problem = misplaced(self.peek(), &format!("`{symbol}`"));
        Err(SyntaxError::new(self.at(), problem, format!("add `{symbol}`")))
    }

    /// A node of a depth that is still allowed.
    fn node(&self, kind: NodeKind, at: usize) -> Result<Node, SyntaxError> {
        let depth = 1 + deepest_child(&kind);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(Node { kind, at, depth })
    }

    /// An expression whose operators all bind more tightly than `floor`.
    fn expression(&mut self, floor: u8) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.at()));
        }
        let mut left = self.operand()?;
        loop {
            let at = self.at();
            if let Some(operator) = self.type_operator().filter(|_| TYPE_BINDING > floor) {
                self.next += 1;
                let name = self.type_name()?;
                left = self.node(
                    NodeKind::Type {
                        operator,
                        operand: Box::new(left),
                        name,
                    },
                    at,
                )?;
                continue;
            }
            let Some((operator, binding)) = self.operator().filter(|(_, binding)| *binding > floor) else {
                self.depth -= 1;
                return Ok(left);
            };
            self.next += 1;
            let right = Box::new(self.expression(binding)?);
            left = self.node(
                NodeKind::Binary {
                    operator,
                    left: Box::new(left),
                    right,
                },
                at,
            )?;
        }
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        match self.peek() {
            Token::Symbol(symbol) => Operator::of(symbol),
            Token::Name(name) => Operator::of(name),
            _ => None,
        }
    }

    fn type_operator(&self) -> Option<TypeOperator> {
        match self.peek() {
            Token::Name(name) if name == "is" => Some(TypeOperator::Is),
            Token::Name(name) if name == "as" => Some(TypeOperator::As),
            _ => None,
        }
    }

    fn type_name(&mut self) -> Result<String, SyntaxError> {
        let mut name = self.identifier("a type")?;
        while self.takes(".") {
            name.push('.');
            name.push_str(&self.identifier("a type")?);
        }
        Ok(name)
    }

    fn identifier(&mut self, wanted: &str) -> Result<String, SyntaxError> {
        let at = self.at();
        match self.take() {
            Token::Name(name) | Token::Quoted(name) => Ok(name),
            token => {
                let problem = misplaced(&token, wanted);
                let remedy = match token {
                    Token::Symbol(".") => "leave one of the dots out".to_owned(),
                    _ => format!("name {wanted} there"),
                };
                Err(SyntaxError::new(at, problem, remedy))
            }
        }
    }

    /// A sign, or a term with all that hangs on it.
    fn operand(&mut self) -> Result<Node, SyntaxError> {
        let at = self.at();
        if self.takes("-") {
            let operand = Box::new(self.expression(10)?);
            return self.node(NodeKind::Negative(operand), at);
        }
        if self.takes("+") {
            return self.expression(10);
        }
        let mut term = self.term()?;
        loop {
            let at = self.at();
            if self.takes(".") {
                let at = self.at();
                let name = self.identifier("an element or a function")?;
                term = self.invocation(Some(Box::new(term)), name, at)?;
            } else if self.takes("[") {
                let index = Box::new(self.expression(0)?);
                self.expect("]")?;
                term = self.node(
                    NodeKind::At {
                        target: Box::new(term),
                        index,
                    },
                    at,
                )?;
            } else {
                return Ok(term);
            }
        }
    }

    fn invocation(
        &mut self,
        target: Option<Box<Node>>,
        name: String,
        at: usize,
    ) -> Result<Node, SyntaxError> {
        if !self.takes("(") {
            return self.node(NodeKind::Member { target, name }, at);
        }
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                arguments.push(self.expression(0)?);
                if self.takes(")") {
                    break;
                }
                if !self.takes(",") {
                    let problem = misplaced(self.peek(), "`)` or `,`");
                    let remedy = format!("close the brackets of `{name}(` with `)`");
                    return Err(SyntaxError::new(self.at(), problem, remedy));
                }
            }
        }
        self.node(
            NodeKind::Call {
                target,
                name,
                arguments,
            },
            at,
        )
    }

    fn term(&mut self) -> Result<Node, SyntaxError> {
        let at = self.at();
        let kind = match self.take() {
            Token::Name(name) if name == "true" => NodeKind::Literal(Literal::Boolean(true)),
            Token::Name(name) if name == "false" => NodeKind::Literal(Literal::Boolean(false)),
            Token::Name(name) | Token::Quoted(name) => return self.invocation(None, name, at),
            Token::String(text) => NodeKind::Literal(Literal::String(text)),
            Token::Integer(digits) => return self.number(digits, false, at),
            Token::Decimal(digits) => return self.number(digits, true, at),
            Token::Date(text) => NodeKind::Literal(Literal::Date(text)),
            Token::DateTime(text) => NodeKind::Literal(Literal::DateTime(text)),
            Token::Time(text) => NodeKind::Literal(Literal::Time(text)),
            Token::Variable(name) => NodeKind::Variable(name),
            Token::Special(name) => match name.as_str() {
                "this" => NodeKind::This,
                "index" => NodeKind::Index,
                _ => NodeKind::Total,
            },
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("{") => {
                self.expect("}")?;
                NodeKind::Empty
            }
            token => {
                let problem = misplaced(&token, "a value");
                let before = self.before(2);
                return Err(SyntaxError::new(
                    at,
                    problem,
                    hint::instead_of_value(&token, before),
                ));
            }
        };
        self.node(kind, at)
    }

    fn number(&mut self, digits: String, decimal: bool, at: usize) -> Result<Node, SyntaxError> {
        let measured = match self.peek() {
            Token::String(_) => Some(Literal::Quantity),
            Token::Name(name) if UNITS.contains(&name.as_str()) => Some(Literal::Duration),
            _ => None,
        };
        let literal = if let Some(measured) = measured {
            self.next += 1;
            measured
        } else if decimal {
            Literal::Decimal(digits)
        } else {
            let too_long = || SyntaxError::new(at, "an integer beyond 64 bits", "write a smaller one");
            Literal::Integer(digits.parse().map_err(|_| too_long())?)
        };
        self.node(NodeKind::Literal(literal), at)
    }
}

fn deepest_child(kind: &NodeKind) -> usize {
    let of = |node: &Option<Box<Node>>| node.as_ref().map_or(0, |node| node.depth);
    match kind {
        NodeKind::Member { target, .. } => of(target),
        NodeKind::Call {
            target, arguments, ..
        } => arguments
            .iter()
            .map(|node| node.depth)
            .max()
            .unwrap_or(0)
            .max(of(target)),
        NodeKind::At { target, index } => target.depth.max(index.depth),
        NodeKind::Negative(operand) | NodeKind::Type { operand, .. } => operand.depth,
        NodeKind::Binary { left, right, .. } => left.depth.max(right.depth),
        _ => 0,
    }
}

fn too_deep(at: usize) -> SyntaxError {
    SyntaxError::new(
        at,
        format!("nested deeper than {MAX_DEPTH} levels"),
        "take brackets out, or write a simpler expression",
    )
}

fn misplaced(token: &Token, wanted: &str) -> String {
    match token {
        Token::End => format!("the expression ends where {wanted} belongs"),
        token => format!("{} where {wanted} belongs", described(token)),
    }
}

fn described(token: &Token) -> String {
    match token {
        Token::Name(name) | Token::Quoted(name) => format!("`{name}`"),
        Token::String(_) => "text".to_owned(),
        Token::Integer(_) | Token::Decimal(_) => "a number".to_owned(),
        Token::Date(_) | Token::DateTime(_) | Token::Time(_) => "a date or time".to_owned(),
        Token::Variable(name) => format!("`%{name}`"),
        Token::Special(name) => format!("`${name}`"),
        Token::Symbol(symbol) => format!("`{symbol}`"),
        Token::End => "the end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as text, fully bracketed.
    fn shape(node: &Node) -> String {
        let target =
            |target: &Option<Box<Node>>| target.as_ref().map_or(String::new(), |node| shape(node) + ".");
        match &node.kind {
            NodeKind::Empty => "{}".to_owned(),
            NodeKind::Literal(Literal::String(text)) => format!("'{text}'"),
            NodeKind::Literal(literal) => format!("{literal:?}"),
            NodeKind::This => "$this".to_owned(),
            NodeKind::Index => "$index".to_owned(),
            NodeKind::Total => "$total".to_owned(),
            NodeKind::Variable(name) => format!("%{name}"),
            NodeKind::Member { target: on, name } => format!("{}{name}", target(on)),
            NodeKind::Call {
                target: on,
                name,
                arguments,
            } => {
                let arguments: Vec<String> = arguments.iter().map(shape).collect();
                format!("{}{name}({})", target(on), arguments.join(", "))
            }
            NodeKind::At { target, index } => format!("{}[{}]", shape(target), shape(index)),
            NodeKind::Negative(operand) => format!("-{}", shape(operand)),
            NodeKind::Binary {
                operator,
                left,
                right,
            } => {
                format!("({} {} {})", shape(left), operator.text(), shape(right))
            }
            NodeKind::Type {
                operator,
                operand,
                name,
            } => format!("({} {operator:?} {name})", shape(operand)),
        }
    }

    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(node) => shape(&node),
            Err(error) => format!("{}: {}", error.at, error.problem),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn operators_bind_as_the_grammar_says() {
        check("a or b and c", "(a or (b and c))");
        check("a = b or c = d", "((a = b) or (c = d))");
        check("a implies b or c", "(a implies (b or c))");
        check("a | b = c", "((a | b) = c)");
        check("a.b is Quantity and c", "((a.b Is Quantity) and c)");
        check("a + b * c - d", "((a + (b * c)) - d)");
        check("-a + b", "(-a + b)");
        check("a > 1 = true", "((a > Integer(1)) = Boolean(true))");
        check("a contains 'x'", "(a contains 'x')");
        check("(a or b) and c", "((a or b) and c)");
    }

    #[test]
    fn paths_calls_and_indexes_chain() {
        check(
            "name.where(use = 'official').given[0]",
            "name.where((use = 'official')).given[Integer(0)]",
        );
        check("$this.contains('a')", "$this.contains('a')");
        check("value.ofType(FHIR.Quantity)", "value.ofType(FHIR.Quantity)");
        check("`div`.x", "div.x");
        check("%name_use & '\\'x\\u0041'", "(%name_use & ''xA')");
        check("iif(a, b, {})", "iif(a, b, {})");
        check("a /* note */ . b // rest", "a.b");
        check(
            "@2020-01-31T10:00:00.5+02:00",
            "DateTime(\"2020-01-31T10:00:00.5+02:00\")",
        );
        check("@T10:00", "Time(\"10:00\")");
    }

    #[test]
    fn what_is_no_fhirpath_is_refused_at_its_character() {
        check("@@", "1: `@` without a date or time");
        check("", "1: the expression is empty");
        check(
            "name.",
            "6: the expression ends where an element or a function belongs",
        );
        check(
            "name.where(use = 'a'",
            "21: the expression ends where `)` or `,` belongs",
        );
        check("a b", "3: unexpected `b`");
        check("'open", "1: text without an end");
        check("a ? b", "3: unexpected character `?`");
        check("$that", "1: `$that` is unknown");
        check("a = = b", "5: `=` where a value belongs");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(parse(&nested).is_err());
        assert!(parse(&vec!["a"; 5_000].join(".")).is_err());
        assert!(parse(&vec!["a"; 5_000].join(" or ")).is_err());
        assert!(parse(&"-".repeat(5_000)).is_err());
        assert!(parse(&vec!["a"; 100].join(".")).is_ok());
    }
}
