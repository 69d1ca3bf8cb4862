//! When refused changes are no longer bad data but a bad target; pure.

/// Counts refusals that follow one another with one code.
///
/// A target that refuses everything (a column renamed under it, a table replaced) would otherwise turn the whole
/// log into dead letters. When the count is reached the destination halts *before* the change at hand is set
/// aside, so that it is delivered once the target is right again.
#[derive(Debug)]
pub(crate) struct Brake {
    limit: usize,
    code: String,
    count: usize,
}

impl Brake {
    /// A brake that holds at `limit` refusals in a row; zero means never.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            code: String::new(),
            count: 0,
        }
    }

    /// A change is with the target: whatever was refused before was bad data.
    pub(crate) fn release(&mut self) {
        self.count = 0;
    }

    /// A change was refused with this code. True when the destination must halt instead of setting it aside.
    #[must_use]
    pub(crate) fn holds(&mut self, code: &str) -> bool {
        if self.code != code {
            self.code = code.to_owned();
            self.count = 0;
        }
        self.count += 1;
        self.limit > 0 && self.count >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays changes, `+` for written and a letter for a code that one was refused with; the index where it held.
    fn held(limit: usize, changes: &str) -> Option<usize> {
        let mut brake = Brake::new(limit);
        changes.chars().position(|change| match change {
            '+' => {
                brake.release();
                false
            }
            code => brake.holds(&code.to_string()),
        })
    }

    #[test]
    fn only_refusals_in_a_row_with_one_code_hold_the_brake() {
        let cases = [
            (3, "aa+aa+aa", None),
            (3, "aabbaabb", None),
            (3, "aaa", Some(2)),
            (3, "+abbb", Some(4)),
            (1, "++a", Some(2)),
            (0, "aaaaaaaaaaaa", None),
        ];
        for (limit, changes, expected) in cases {
            assert_eq!(held(limit, changes), expected, "{limit} {changes}");
        }
    }
}
