//! How much a patch may look at and move.

use super::Fault;

/// The elements that one patch may look at. A thousand operations may each search a list of a thousand elements by
/// several members of them; what costs more would hold a thread for seconds.
const MAX_STEPS: usize = 4_000_000;
/// Bytes or elements that are moved or compared as fast as one is looked at.
const A_STEP: usize = 16;

/// What is left of a patch's work.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
}

impl Default for Work {
    fn default() -> Self {
        Self { left: MAX_STEPS }
    }
}

impl Work {
    /// Counts elements that are looked at.
    pub(super) fn look(&mut self, elements: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(elements).ok_or(Fault::TooCostly)?;
        Ok(())
    }

    /// Counts bytes that are compared, or elements of a list that are moved.
    pub(super) fn pass(&mut self, many: usize) -> Result<(), Fault> {
        self.look(many / A_STEP + 1)
    }
}
