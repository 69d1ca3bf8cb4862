//! Trigger criteria: one FHIRPath condition over a change.

use crate::compile;
use crate::error::{RowError, ViewError};
use crate::evaluate::{Evaluator, Find, Follower, Memory, Resolved, Roots, Scope};
use crate::program::{Expr, Item, Program};
use crate::rows::ResourceMeta;
use crate::tape::Tape;

/// A compiled trigger criterion.
///
/// It runs on the same engine as views. `%current` and `%previous` are the two versions, bare paths start at the
/// context. The logic has three values: a criterion that comes out empty does not fire; a single item that is not a
/// boolean counts as true.
///
/// `now()`, `today()` and `timeOfDay()` are the moment of the change in UTC, so that a criterion says the same of a
/// change whenever it is asked.
///
/// `resolve()` leads from a reference to the resource that it names: to a contained one within the same resource, to
/// any other through the caller. A reference to another server, one by `urn:` or by an identifier alone, and one to a
/// resource that does not exist are resolved to nothing; a version that a reference names is not looked at.
#[derive(Debug)]
pub struct Criterion {
    text: String,
    program: Program,
    expr: Expr,
}

/// The versions that a change is between.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// The version that the change made; absent for a delete.
    pub current: Option<&'a [u8]>,
    /// The version before; absent for a create.
    pub previous: Option<&'a [u8]>,
    /// What bare paths start at: the current resource, or for a delete the deleted one.
    pub context: &'a [u8],
}

/// What a caller has of a resource that a reference names.
#[derive(Debug, Clone, Copy)]
pub enum Referenced<'a> {
    /// The resource.
    Resource(&'a [u8]),
    /// There is no such resource.
    Nothing,
    /// The caller would have to look first, and does not now.
    NotAtHand,
}

/// What a criterion says of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Fires,
    /// It is false, or empty.
    Silent,
    /// That depends on a resource that the caller did not have at hand.
    Unknown,
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
    /// `find` is asked for the resources that references name, by type and id, and for none where the criterion
    /// resolves nothing. It is asked for all that the change refers to before any of them is looked at, then for all
    /// that those refer to, so a caller that reads what was not at hand and asks again is done after few rounds.
    ///
    /// # Errors
    /// A resource is not JSON, an operator met operands that it does not accept, or there are too many references to
    /// resolve; the caller decides what that means.
    pub fn matches<'a>(
        &self,
        versions: Versions<'a>,
        meta: &ResourceMeta,
        find: &dyn Fn(&str, &str) -> Referenced<'a>,
    ) -> Result<Verdict, RowError> {
        let mut tape = Tape::default();
        let mut sources = [""; 3];
        let roots = self.read(versions, &mut tape, &mut sources)?;
        if self.program.resolution.hops == 0 {
            return self.judge((&tape, &sources), roots, meta, None);
        }
        let mut sources = sources.to_vec();
        let find: Find<'_, 'a> = find;
        let resolved = Follower::new(&self.program, &mut tape, &mut sources, find).follow()?;
        self.judge((&tape, &sources), roots, meta, Some(&resolved))
    }

    /// Reads the versions onto a tape.
    fn read<'a>(
        &self,
        versions: Versions<'a>,
        tape: &mut Tape,
        sources: &mut [&'a str; 3],
    ) -> Result<Roots, RowError> {
        let mut roots = [None; 3];
        let texts = [Some(versions.context), versions.current, versions.previous];
        for (number, bytes) in texts.into_iter().enumerate() {
            let Some(bytes) = bytes else { continue };
            // The context mostly is one of the versions; what was read once is not read again.
            if let Some(same) = (0..number).find(|earlier| std::ptr::eq(sources[*earlier].as_bytes(), bytes))
            {
                roots[number] = roots[same];
                continue;
            }
            let (text, root) = tape.read(bytes, number as u16, &self.program.trie)?;
            sources[number] = text;
            roots[number] = Some(root);
        }
        Ok(roots)
    }

    fn judge(
        &self,
        (tape, sources): (&Tape, &[&str]),
        roots: Roots,
        meta: &ResourceMeta,
        resolved: Option<&Resolved>,
    ) -> Result<Verdict, RowError> {
        let mut memory = Memory::default();
        let mut evaluator = Evaluator {
            program: &self.program,
            tape,
            sources,
            roots,
            resolved,
            meta,
            memory: &mut memory,
        };
        let truth = evaluator.truth(&self.expr, Scope::on(roots[0].map(Item::Node), 0));
        // An answer, or an error, that came of what was left out is none.
        if resolved.is_some_and(Resolved::is_incomplete) {
            return Ok(Verdict::Unknown);
        }
        match truth? {
            Some(true) => Ok(Verdict::Fires),
            _ => Ok(Verdict::Silent),
        }
    }
}

#[cfg(test)]
mod tests;
