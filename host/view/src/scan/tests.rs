//! The twins give the same bits, and the bits are what a slow reader finds.

use super::{Block, Marked, Marks, STEP};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

/// Bytes of which many mean something; each text leans towards some of them.
fn random_text(dice: &mut Dice) -> Vec<u8> {
    const SIGNS: &[u8] = b"\"\"\\\\{}[]:, az\n\t\x00\x1f\x20\x7f";
    let foreign = ["é", "№", "😀"];
    let (length, signs) = (dice.below(300), 1 + dice.below(SIGNS.len()));
    let mut text = Vec::new();
    while text.len() < length {
        match dice.below(20) {
            0 => text.extend_from_slice(foreign[dice.below(3)].as_bytes()),
            1 if dice.below(30) == 0 => text.push(dice.below(256) as u8),
            _ => text.push(SIGNS[dice.below(signs)]),
        }
    }
    text
}

/// The same marks, byte by byte.
fn slowly(text: &[u8]) -> Vec<Block> {
    let mut blocks = vec![Block::default(); text.len() / STEP + 1];
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, byte) in text.iter().enumerate() {
        let (block, bit) = (&mut blocks[at / STEP], 1 << (at % STEP));
        match byte {
            b'"' if !is_escaped => {
                block.quotes |= bit;
                in_string = !in_string;
            }
            b'{' | b'[' if !in_string => {
                block.opens |= bit;
                block.opened += 1;
            }
            b'}' | b']' if !in_string => {
                block.closes |= bit;
                block.closed += 1;
            }
            b'\\' | 0..0x20 if in_string => block.special |= bit,
            _ => {}
        }
        is_escaped = *byte == b'\\' && !is_escaped;
    }
    blocks
}

fn both(text: &[u8]) -> [(Vec<Block>, bool); 2] {
    [false, true].map(|is_portable| {
        let mut marks = Marks {
            is_portable,
            ..Marks::default()
        };
        let is_valid = marks.read(text).is_some();
        (marks.blocks, is_valid)
    })
}

#[test]
fn the_twins_see_what_a_slow_reader_sees() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for _ in 0..20_000 {
        let text = random_text(&mut dice);
        let expected = (slowly(&text), std::str::from_utf8(&text).is_ok());
        refused += usize::from(!expected.1);
        for found in both(&text) {
            assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&text));
        }
    }
    assert!((500..10_000).contains(&refused), "{refused} texts are not UTF-8");
}

#[test]
fn every_byte_is_seen_alike_at_every_place() {
    for byte in 0..=255u8 {
        for place in 0..2 * STEP {
            let mut text = [b'a'; 2 * STEP];
            text[place] = byte;
            let [vector, portable] = both(&text);
            assert_eq!(vector, portable, "{byte} at {place}");
            assert_eq!(vector.1, byte < 0x80);
        }
    }
}

#[test]
fn characters_are_checked_across_blocks_and_where_a_run_ends() {
    for place in 0..3 * STEP {
        for (sign, is_valid) in [
            ("😀".as_bytes(), true),
            (&"😀".as_bytes()[..3], false),
            (&[0x80], false),
        ] {
            let mut text = vec![b'a'; place];
            text.extend_from_slice(sign);
            text.resize(place + sign.len() + place % 70, b'a');
            for (_, found) in both(&text) {
                assert_eq!(found, is_valid, "{sign:?} at {place}");
            }
        }
    }
}

#[test]
fn strings_end_and_brackets_close_where_counting_says() {
    let mut dice = Dice(7);
    for _ in 0..5_000 {
        let text = random_text(&mut dice);
        let mut marks = Marks::default();
        marks.pass(&text);
        let marked = Marked {
            blocks: &marks.blocks,
        };
        let bit =
            |at: usize, choose: fn(&Block) -> u64| choose(&marks.blocks[at / STEP]) >> (at % STEP) & 1 == 1;
        for at in 0..text.len() {
            let quote = (at..text.len()).find(|at| bit(*at, |block| block.quotes));
            let is_plain = |end| (at..end).all(|at| !bit(at, |block| block.special));
            assert_eq!(marked.string_end(at), quote.map(|end| (end, is_plain(end))));
            if bit(at, |block| block.opens) {
                let mut depth = 0;
                let closing = (at..text.len()).find(|at| {
                    depth += i32::from(bit(*at, |block| block.opens));
                    depth -= i32::from(bit(*at, |block| block.closes));
                    depth == 0
                });
                assert_eq!(marked.closing(at, 0), closing);
                assert_eq!(marked.closing(at + 1, 1), closing);
            }
        }
    }
}
