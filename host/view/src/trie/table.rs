//! Which of a few known keys a key is, found in one step.
//!
//! A key is known by its first and its last eight bytes and its length; only what is longer than both together is
//! compared further. One or two known keys are simply compared with. Of more, these make a number that is multiplied to
//! choose a slot; the factor is sought once, when the table is made, so that no two keys share a slot.

/// The known keys.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    keys: Box<[Known]>,
    /// None where there are few keys, or no factor was found.
    slots: Box<[Slot]>,
    factor: u64,
    /// How far a product is shifted to be the number of a slot.
    shift: u32,
}

/// Up to so many keys are compared one by one.
const FEW: usize = 2;

/// How many factors are tried for each size of a table.
const TRIES: usize = 64;

#[derive(Debug)]
struct Known {
    ends: Ends,
    text: Box<[u8]>,
}

/// A key where its product says.
#[derive(Debug, Clone, Copy)]
struct Slot {
    ends: Ends,
    number: u32,
}

/// No key is as long as what stands in a slot that is for none.
const FREE: Slot = Slot {
    ends: Ends {
        first: 0,
        last: 0,
        length: u32::MAX,
    },
    number: 0,
};

/// The ends of a key, each in a word; of a key of fewer than eight bytes both hold all of it.
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u64,
    last: u64,
    length: u32,
}

impl KeyTable {
    /// A table of different keys, numbered in their order.
    pub(crate) fn new<'k>(keys: impl Iterator<Item = &'k str>) -> Self {
        let known = |key: &str| Known {
            ends: Ends::of(key.as_bytes(), 0, key.len()),
            text: key.as_bytes().into(),
        };
        let mut table = Self {
            keys: keys.map(known).collect(),
            ..Self::default()
        };
        if table.keys.len() > FEW {
            let least = (table.keys.len() * 2).next_power_of_two();
            for doubled in 0..4 {
                if table.place(least << doubled) {
                    break;
                }
            }
        }
        table
    }

    /// Places the keys in so many slots, a power of two; false, and no slots, where no factor does it.
    fn place(&mut self, size: usize) -> bool {
        self.shift = u64::BITS - size.trailing_zeros();
        let mut factor = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..TRIES {
            factor = factor.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
            self.factor = factor | 1;
            let mut slots = vec![FREE; size];
            let is_free = |(number, key): (usize, &Known)| {
                let slot = &mut slots[self.slot(key.ends)];
                let is_free = slot.ends.length == FREE.ends.length;
                *slot = Slot {
                    ends: key.ends,
                    number: number as u32,
                };
                is_free
            };
            if self.keys.iter().enumerate().all(is_free) {
                self.slots = slots.into();
                return true;
            }
        }
        false
    }

    fn slot(&self, ends: Ends) -> usize {
        let mixed = ends.first ^ ends.last.rotate_left(25) ^ u64::from(ends.length);
        (mixed.wrapping_mul(self.factor) >> self.shift) as usize
    }

    /// The number of the key that stands in a text from `start` to `end`.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], start: usize, end: usize) -> Option<usize> {
        let ends = Ends::of(text, start, end);
        if self.slots.is_empty() {
            let mut keys = self.keys.iter();
            return keys.position(|known| known.ends.are(ends) && known.is_rest(text, start, end));
        }
        let slot = self
            .slots
            .get(self.slot(ends))
            .filter(|slot| slot.ends.are(ends))?;
        let number = slot.number as usize;
        self.keys[number].is_rest(text, start, end).then_some(number)
    }

    /// The keys, in their order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|known| &*known.text)
    }
}

impl Known {
    /// Whether what the ends do not say of a key is the same too.
    #[inline]
    fn is_rest(&self, text: &[u8], start: usize, end: usize) -> bool {
        end - start <= 16 || text.get(start..end) == Some(&self.text)
    }
}

impl Ends {
    /// Whether they are the same, by one branch.
    #[inline]
    fn are(self, other: Self) -> bool {
        (self.first ^ other.first) | (self.last ^ other.last) | u64::from(self.length ^ other.length) == 0
    }

    #[inline]
    fn of(text: &[u8], start: usize, end: usize) -> Self {
        let length = end - start;
        // What of the words lies outside of the key is shifted out.
        let outside = 8 * (8 - length.min(8)) as u32;
        let first = text.get(start..).and_then(<[u8]>::first_chunk);
        let last = text.get(..end).and_then(<[u8]>::last_chunk);
        let (Some(first), Some(last)) = (first, last) else {
            return Self::near_an_edge(text.get(start..end).unwrap_or_default());
        };
        Self {
            first: u64::from_le_bytes(*first).checked_shl(outside).unwrap_or(0),
            last: u64::from_le_bytes(*last).checked_shr(outside).unwrap_or(0),
            length: length as u32,
        }
    }

    /// The ends of a key about which the text has fewer than eight bytes.
    #[cold]
    fn near_an_edge(key: &[u8]) -> Self {
        let length = key.len().min(8);
        let mut padded = [0; 24];
        padded[8..8 + length].copy_from_slice(&key[..length]);
        let first = Self::of(&padded, 8, 8 + length).first;
        padded[8..8 + length].copy_from_slice(&key[key.len() - length..]);
        Self {
            first,
            last: Self::of(&padded, 8, 8 + length).last,
            length: key.len() as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KeyTable;

    const KEYS: [&str; 12] = [
        "a",
        "id",
        "meta",
        "valueCode",
        "valueCoding",
        "multipleBirthBoolean",
        "multipleBirthInteger",
        "resourceType",
        "aVeryLongKeyThatDiffersOnlyInTheMiddle-1-andNowhereElse",
        "aVeryLongKeyThatDiffersOnlyInTheMiddle-2-andNowhereElse",
        "12345678",
        "ä",
    ];

    fn find(table: &KeyTable, key: &str) -> Option<usize> {
        let mut found = None;
        // Wherever the key stands, at an edge or among other bytes.
        for before in [0, 3, 20] {
            for behind in [0, 3, 20] {
                let text = format!("{}{key}{}", "x".repeat(before), "y".repeat(behind));
                let number = table.find(text.as_bytes(), before, before + key.len());
                assert!(found.is_none_or(|found| found == number), "{key}");
                found = Some(number);
            }
        }
        found.unwrap()
    }

    fn check(keys: &[&str]) -> bool {
        let table = KeyTable::new(keys.iter().copied());
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(find(&table, key), Some(number));
        }
        for other in ["", "b", "ident", "metb", "valueCodinh", "123456789", "1234567"] {
            assert_eq!(find(&table, other), None, "{other}");
        }
        !table.slots.is_empty()
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        // Those that agree at both ends and in length share a slot whatever the factor.
        assert!(!check(&KEYS));
        assert!(check(&KEYS[..9]));
        assert!(check(&KEYS[9..]));
        assert!(!check(&KEYS[..2]));
        assert!(!check(&[]));
    }

    #[test]
    fn many_keys_are_found_too() {
        for count in [40, 200, 400] {
            let keys: Vec<String> = (0..count).map(|number| format!("key{number}")).collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            check(&keys);
        }
    }
}
