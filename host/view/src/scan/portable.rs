//! What is seen in 64 bytes, eight at a time in a plain register.

use super::{Block, STEP, Seen};

/// A one in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// All bits of every byte but the highest.
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

pub(super) fn pass(text: &[u8], blocks: &mut Vec<Block>) -> bool {
    super::pass(text, blocks, see, parity, |_| {})
}

fn see(bytes: &[u8; STEP]) -> Seen {
    let mut seen = Seen {
        quotes: 0,
        backslashes: 0,
        opens: 0,
        closes: 0,
        special: 0,
        is_ascii: true,
    };
    for (index, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let place = index * 8;
        // With this bit set `[` is `{`, and `]` is `}`.
        let braced = word | (ONES * 0x20);
        seen.quotes |= bits(equal(word, b'"')) << place;
        seen.backslashes |= bits(equal(word, b'\\')) << place;
        seen.opens |= bits(equal(braced, b'{')) << place;
        seen.closes |= bits(equal(braced, b'}')) << place;
        // Below 0x20 the upper three bits are zero.
        seen.special |= bits(equal(word & (ONES * 0xe0), 0) | equal(word, b'\\')) << place;
        seen.is_ascii &= word & !LOW == 0;
    }
    seen
}

/// The highest bit of every byte that equals `byte`, and nothing else.
fn equal(word: u64, byte: u8) -> u64 {
    let different = word ^ (ONES * u64::from(byte));
    !(((different & LOW) + LOW) | different | LOW)
}

/// The highest bits of eight bytes, side by side.
fn bits(highest: u64) -> u64 {
    // The factor moves each bit to its own place in the uppermost byte; no two meet below.
    (highest >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

fn parity(bits: u64) -> u64 {
    let mut parity = bits;
    for distance in [1, 2, 4, 8, 16, 32] {
        parity ^= parity << distance;
    }
    parity
}
