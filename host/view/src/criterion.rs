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

#[cfg(test)]
mod tests {
    use crate::testing::fires;

    const ACTIVE: &str = r#"{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"A"}]}"#;
    const PASSIVE: &str = r#"{"resourceType":"Patient","id":"a","active":false}"#;

    fn check(criterion: &str, current: Option<&str>, previous: Option<&str>, expected: &str) {
        assert_eq!(fires(criterion, current, previous), expected, "{criterion}");
    }

    #[test]
    fn only_true_fires() {
        check("active", Some(ACTIVE), None, "true");
        check("active", Some(PASSIVE), None, "false");
        check("deceased.ofType(boolean)", Some(ACTIVE), None, "false");
        check("name.exists()", Some(ACTIVE), None, "true");
        check("birthDate > @2000-01-01", Some(ACTIVE), None, "false");
    }

    #[test]
    fn one_item_that_is_no_boolean_counts_as_true() {
        check("id", Some(ACTIVE), None, "true");
        check("name.family", Some(PASSIVE), None, "false");
        check("name.family.first() and active", Some(ACTIVE), None, "true");
    }

    #[test]
    fn both_versions_can_be_compared() {
        let change = "%current.active = true and %previous.active = false";
        check(change, Some(ACTIVE), Some(PASSIVE), "true");
        check(change, Some(ACTIVE), Some(ACTIVE), "false");
        check(
            "%current.name != %previous.name",
            Some(ACTIVE),
            Some(ACTIVE),
            "false",
        );
        check("%resource.id = %previous.id", Some(ACTIVE), Some(PASSIVE), "true");
    }

    #[test]
    fn what_is_unknown_does_not_fire_and_a_guard_helps() {
        let bare = "%current.active = true and %previous.active != true";
        check(bare, Some(ACTIVE), None, "false");
        let guarded = "%current.active = true and (%previous.empty() or %previous.active != true)";
        check(guarded, Some(ACTIVE), None, "true");
    }

    #[test]
    fn a_delete_has_no_current_and_bare_paths_mean_the_deleted_one() {
        check("%current.empty()", None, Some(ACTIVE), "true");
        check("name.exists()", None, Some(ACTIVE), "true");
        check("%current.name.exists()", None, Some(ACTIVE), "false");
        check("%previous.name.exists()", None, Some(ACTIVE), "true");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        check(
            "managingOrganization.resolve().active",
            Some(ACTIVE),
            None,
            "fhirPathCriteria, column 22: the function `resolve()` is not supported; a view sees one resource; use \
             `getReferenceKey()` and join in SQL [VIEW-023]",
        );
        check(
            "%curent.active",
            Some(ACTIVE),
            None,
            "fhirPathCriteria, column 1: `%curent` is not defined; did you mean `%current` [VIEW-025]",
        );
        check(
            "%rowIndex = 0",
            Some(ACTIVE),
            None,
            "fhirPathCriteria, column 1: `%rowIndex` is not defined; a criterion knows `%current`, `%previous` and \
             `%resource` [VIEW-025]",
        );
        check(
            "actve",
            Some(ACTIVE),
            None,
            "fhirPathCriteria, column 1: `actve` is no element of a Patient; did you mean `active` [VIEW-021]",
        );
    }

    #[test]
    fn operands_of_the_wrong_kind_are_an_error_without_their_values() {
        let two = r#"{"resourceType":"Patient","name":[{"family":"Secret"},{"family":"Hidden"}]}"#;
        check(
            "name.family and active",
            Some(two),
            None,
            "several values where one boolean belongs [VIEW-107]",
        );
        check(
            "name.family > 'a'",
            Some(two),
            None,
            "several values on one side of a comparison [VIEW-107]",
        );
    }
}
