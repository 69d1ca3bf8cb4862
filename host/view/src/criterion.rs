//! Trigger criteria: one FHIRPath condition over a change.

use crate::compile;
use crate::error::{Code, RowError, ViewError};
use crate::evaluate::{Evaluator, Memory, Scope};
use crate::program::{Expr, Item, Program};
use crate::rows::ResourceMeta;
use crate::tape::Tape;

/// A compiled trigger criterion.
///
/// It runs on the same engine as views. `%current` and `%previous` are the two versions, bare paths start at the
/// context. The logic has three values: a criterion that comes out empty does not fire; a single item that is not a
/// boolean counts as true.
#[derive(Debug)]
pub struct Criterion {
    text: String,
    program: Program,
    expr: Expr,
}

impl Criterion {
    /// Compiles a criterion over resources of one type.
    ///
    /// # Errors
    /// Everything that is wrong with the expression; the location of each error is `fhirPathCriteria`, or
    /// `trigger.resource` where the type does not exist.
    pub fn compile(expression: &str, resource_type: &str) -> Result<Self, Vec<ViewError>> {
        let (program, expr) = compile::compile_criterion(expression, resource_type)?;
        Ok(Self {
            text: expression.to_owned(),
            program,
            expr,
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.text
    }

    /// Whether the criterion is true of a change.
    ///
    /// `current` is absent for a delete, `previous` for a create; `context` is what bare paths start at: the current
    /// resource, or for a delete the deleted one.
    ///
    /// # Errors
    /// A resource is not JSON, or an operator met operands that it does not accept; the caller decides what that means.
    pub fn matches(
        &self,
        current: Option<&[u8]>,
        previous: Option<&[u8]>,
        context: &[u8],
        meta: &ResourceMeta,
    ) -> Result<bool, RowError> {
        let mut tape = Tape::default();
        let mut sources = [""; 3];
        let mut roots = [None; 3];
        for (number, bytes) in [Some(context), current, previous].into_iter().enumerate() {
            let Some(bytes) = bytes else { continue };
            // The context mostly is one of the versions; what was read once is not read again.
            if let Some(same) = (0..number).find(|earlier| std::ptr::eq(sources[*earlier].as_bytes(), bytes))
            {
                roots[number] = roots[same];
                continue;
            }
            let malformed = |_| RowError::new(Code::MalformedResource, "the resource is not UTF-8");
            sources[number] = std::str::from_utf8(bytes).map_err(malformed)?;
            roots[number] = Some(tape.read(sources[number], number as u8, &self.program.trie)?);
        }
        let mut memory = Memory::default();
        let program = &self.program;
        let mut evaluator = Evaluator {
            program,
            tape: &tape,
            sources,
            roots,
            meta,
            memory: &mut memory,
        };
        let truth = evaluator.truth(&self.expr, Scope::on(roots[0].map(Item::Node), 0))?;
        Ok(truth == Some(true))
    }
}
