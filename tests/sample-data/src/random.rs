//! A small generator of pseudo-random numbers (SplitMix64): the same on every machine and in every version.

use serde_json::Value;

/// A stream of numbers from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which is not zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.below(list.len() as u64)).unwrap_or(0)]
    }

    /// A day between two years, the last one left out: `2021-04-17`.
    pub(crate) fn date(&mut self, from: u64, to: u64) -> String {
        format!(
            "{:04}-{:02}-{:02}",
            from + self.below(to - from),
            1 + self.below(12),
            1 + self.below(28)
        )
    }

    /// A positive decimal below a bound.
    pub(crate) fn decimal(&mut self, below: u64, digits: u32) -> Value {
        let scale = 10_u64.pow(digits);
        let text = format!(
            "{}.{:0width$}",
            self.below(below),
            self.below(scale),
            width = digits as usize
        );
        serde_json::from_str(&text).unwrap_or_default()
    }
}
