//! A die that a seed replays.

use std::sync::{Mutex, PoisonError};

pub(crate) struct Chance {
    state: Mutex<u64>,
    /// One call in so many goes wrong.
    one_in: u64,
    /// Whether a fault may also be a panic.
    panics: bool,
}

impl Chance {
    pub(crate) fn new(seed: u64, one_in: u64, panics: bool) -> Self {
        Self {
            state: Mutex::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            one_in,
            panics,
        }
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 11) % end
    }

    /// Whether something goes wrong here. Panics instead, now and then, where it may.
    pub(crate) fn hits(&self, what: &str) -> bool {
        let hit = self.hits_softly();
        if hit && self.panics && self.below(4) == 0 {
            panic!("made up in {what}");
        }
        hit
    }

    /// Whether something goes wrong here; never a panic.
    pub(crate) fn hits_softly(&self) -> bool {
        self.below(self.one_in) == 0
    }
}
