//! Trigger criteria: one FHIRPath condition over a change.

use crate::error::{Code, RowError, ViewError};
use crate::rows::ResourceMeta;

/// A compiled trigger criterion.
///
/// It runs on the same engine as views. `%current` and `%previous` are the two versions, bare paths start at the
/// context. The logic has three values: a criterion that comes out empty does not fire; a single item that is not a
/// boolean counts as true.
#[derive(Debug)]
pub struct Criterion {
    expression: String,
}

impl Criterion {
    /// Compiles a criterion over resources of one type.
    ///
    /// # Errors
    /// Everything that is wrong with the expression; the location of each error is `fhirPathCriteria`.
    pub fn compile(expression: &str, resource_type: &str) -> Result<Self, Vec<ViewError>> {
        let _ = resource_type;
        Err(vec![ViewError {
            code: Code::Unsupported,
            location: "fhirPathCriteria".to_owned(),
            column: None,
            problem: expression.to_owned(),
            remedy: String::new(),
        }])
    }

    /// The expression as it was written.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
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
        let _ = (current, previous, context, meta);
        Err(RowError::new(Code::Evaluation, "not evaluated yet"))
    }
}
