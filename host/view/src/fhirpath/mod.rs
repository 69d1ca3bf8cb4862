//! FHIRPath text to a syntax tree. Knows the grammar, not the meaning: names and types are the compiler's business.

mod ast;
mod hint;
mod lexer;
mod parser;

pub(crate) use ast::{Literal, Node, NodeKind, Operator, TypeOperator};
pub(crate) use parser::parse;

/// Why a text is not FHIRPath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// The character at fault, counted from 1.
    pub(crate) at: usize,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl SyntaxError {
    fn new(at: usize, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            at,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
