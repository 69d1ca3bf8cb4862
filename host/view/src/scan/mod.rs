//! Where the strings and brackets of a JSON text are, found 64 bytes a step without reading any of them.
//!
//! A walk over a resource asks three things of the bytes ahead: where does this string end, where does this bracket
//! close, does this string hold anything but plain text. [`Marked`] answers from a few bits a byte, so that what a
//! view does not name costs no more than counting them. The pass that sets the bits also proves that the text is
//! UTF-8.
//!
//! The pass is written once, over what can be seen in 64 bytes at a time. Two twins see it: `vector`, with AVX2 and
//! a carry-less multiplication where the processor has them, and `portable`, which gives the same bits everywhere. The
//! method is that of Langdale and Lemire, "Parsing Gigabytes of JSON per Second".
//!
//! This folder holds the only unsafe code of the crate.

#![expect(
    unsafe_code,
    reason = "vector instructions, and a text that was just proved to be UTF-8"
)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod vector;

#[cfg(test)]
mod tests;

use std::ops::Range;

/// How many bytes a step takes: a bit of a word each.
const STEP: usize = 64;

/// How many steps ahead bytes are asked for.
const AHEAD: usize = 16;

/// The marks of one text after the other, in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    blocks: Vec<Block>,
    /// Whether the portable twin is used even where the other could be.
    pub(crate) is_portable: bool,
}

/// A text's marks, to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Marked<'m> {
    blocks: &'m [Block],
}

/// The marks of 64 bytes, a bit a byte, that of the first byte lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    /// Quotes at the beginning and the end of strings.
    quotes: u64,
    /// `{` and `[` outside of strings.
    opens: u64,
    /// `}` and `]` outside of strings.
    closes: u64,
    /// Backslashes and control characters in strings.
    special: u64,
    /// How many bits `opens` and `closes` have.
    opened: u8,
    closed: u8,
}

/// What a twin sees in 64 bytes, in or out of strings.
struct Seen {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
    /// Backslashes and control characters.
    special: u64,
    is_ascii: bool,
}

impl Marks {
    /// Marks a text and answers it as what it is then known to be, with its marks; none where it is not UTF-8.
    pub(crate) fn read<'t>(&mut self, text: &'t [u8]) -> Option<(&'t str, Marked<'_>)> {
        if !self.pass(text) {
            return None;
        }
        // SAFETY: the pass answers true only where each run of blocks with bytes beyond ASCII is UTF-8 by itself. What
        // lies between the runs is ASCII, so the whole is UTF-8.
        let text = unsafe { std::str::from_utf8_unchecked(text) };
        let marked = Marked { blocks: &self.blocks };
        Some((text, marked))
    }

    #[cfg(target_arch = "x86_64")]
    fn pass(&mut self, text: &[u8]) -> bool {
        if !self.is_portable && vector::is_supported() {
            // SAFETY: the processor has the instructions, as was asked just now.
            return unsafe { vector::pass(text, &mut self.blocks) };
        }
        portable::pass(text, &mut self.blocks)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn pass(&mut self, text: &[u8]) -> bool {
        portable::pass(text, &mut self.blocks)
    }
}

impl Marked<'_> {
    /// Where the string ends whose text begins at a byte: its closing quote, and whether the text before it is plain,
    /// without backslashes and control characters.
    #[inline]
    pub(crate) fn string_end(self, start: usize) -> Option<(usize, bool)> {
        let index = start / STEP;
        let block = self.blocks.get(index)?;
        let within = u64::MAX << (start % STEP);
        let quotes = block.quotes & within;
        if quotes == 0 {
            return self.long_string_end(index, block.special & within == 0);
        }
        let before = (quotes - 1) & !quotes;
        let is_plain = block.special & within & before == 0;
        Some((index * STEP + quotes.trailing_zeros() as usize, is_plain))
    }

    /// The same for a string that goes on behind a block, and is plain until there or not.
    fn long_string_end(self, mut index: usize, mut is_plain: bool) -> Option<(usize, bool)> {
        loop {
            index += 1;
            let block = self.blocks.get(index)?;
            if block.quotes != 0 {
                let before = (block.quotes - 1) & !block.quotes;
                is_plain &= block.special & before == 0;
                return Some((index * STEP + block.quotes.trailing_zeros() as usize, is_plain));
            }
            is_plain &= block.special == 0;
        }
    }

    /// Where the brackets close that are open before a byte, `depth` of them: the first place at or after it where all
    /// of them are closed.
    pub(crate) fn closing(self, from: usize, depth: u32) -> Option<usize> {
        let mut index = from / STEP;
        let block = self.blocks.get(index)?;
        let within = u64::MAX << (from % STEP);
        let mut depth = match closing_in(depth, block.opens & within, block.closes & within) {
            Ok(place) => return Some(index * STEP + place),
            Err(depth) => depth,
        };
        loop {
            index += 1;
            let block = self.blocks.get(index)?;
            // Where fewer brackets close than are open, none of them can be the one.
            if u32::from(block.closed) < depth {
                depth = depth + u32::from(block.opened) - u32::from(block.closed);
                continue;
            }
            match closing_in(depth, block.opens, block.closes) {
                Ok(place) => return Some(index * STEP + place),
                Err(after) => depth = after,
            }
        }
    }
}

/// Where in a block all brackets are closed that were open before it, and those that it opens until then; or how many
/// are open behind it.
fn closing_in(before: u32, opens: u64, mut closes: u64) -> Result<usize, u32> {
    let mut closed = 0;
    while closes != 0 {
        let place = closes.trailing_zeros();
        let opened = (opens & !(u64::MAX << place)).count_ones();
        closed += 1;
        if before + opened == closed {
            return Ok(place as usize);
        }
        closes &= closes - 1;
    }
    Err(before + opens.count_ones() - closed)
}

/// The pass over a text: replaces the blocks by its own and answers whether the text is UTF-8.
///
/// `see` looks at 64 bytes; `parity` answers for each bit whether the bits up to and with it are odd in number; `fetch`
/// asks for bytes that will be looked at soon.
#[inline(always)]
fn pass(
    text: &[u8],
    blocks: &mut Vec<Block>,
    see: impl Fn(&[u8; STEP]) -> Seen,
    parity: impl Fn(u64) -> u64,
    fetch: impl Fn(*const u8),
) -> bool {
    let (whole, rest) = text.as_chunks::<STEP>();
    let mut last = [b' '; STEP];
    let mut state = State::default();
    let mut utf8 = Utf8 {
        text,
        run: 0..0,
        is_valid: true,
    };
    blocks.clear();
    blocks.reserve(whole.len() + 1);
    // A resource mostly comes from far memory, and is too short for the processor to see that it is read in order.
    let line = |index: usize| text.as_ptr().wrapping_add(index * STEP);
    (0..AHEAD.min(whole.len())).for_each(|index| fetch(line(index)));
    for index in 0..=whole.len() {
        fetch(line(index + AHEAD));
        let bytes = match whole.get(index) {
            Some(bytes) => bytes,
            // The rest is touched last: the bytes before it were read in order, so by now it is in a near cache.
            None => {
                last[..rest.len()].copy_from_slice(rest);
                &last
            }
        };
        let seen = see(bytes);
        if !seen.is_ascii {
            utf8.push(index * STEP);
        }
        blocks.push(state.block(&seen, &parity));
    }
    utf8.check();
    utf8.is_valid
}

/// What a block must know of those before it.
#[derive(Default)]
struct State {
    /// One where the first byte follows a backslash that escapes it.
    is_escaped: u64,
    /// All ones where the first byte is within a string.
    in_string: u64,
}

impl State {
    #[inline(always)]
    fn block(&mut self, seen: &Seen, parity: impl Fn(u64) -> u64) -> Block {
        let quotes = if seen.backslashes | self.is_escaped == 0 {
            seen.quotes
        } else {
            seen.quotes & !self.escaped(seen.backslashes)
        };
        let in_string = parity(quotes) ^ self.in_string;
        self.in_string = (in_string.cast_signed() >> 63).cast_unsigned();
        let (opens, closes) = (seen.opens & !in_string, seen.closes & !in_string);
        Block {
            quotes,
            opens,
            closes,
            opened: opens.count_ones() as u8,
            closed: closes.count_ones() as u8,
            special: seen.special & in_string,
        }
    }

    /// The bytes that follow a run of backslashes and are escaped by its last one: where the run is odd in length.
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        // A backslash that is escaped itself begins no run.
        let runs = backslashes & !self.is_escaped;
        let starts = runs & !(runs << 1);
        // Adding the first bit of a run clears the run and sets the bit behind it; runs that were not added stay.
        let (behind_even, _) = runs.overflowing_add(starts & EVEN);
        let (behind_odd, runs_on) = runs.overflowing_add(starts & !EVEN);
        let escaped = (behind_even & !EVEN | behind_odd & EVEN) & !runs | self.is_escaped;
        // A run that goes to the end of the block is odd in length where it starts at an odd bit.
        self.is_escaped = u64::from(runs_on);
        escaped
    }
}

/// The check for UTF-8, which looks only at runs of blocks that are not ASCII.
struct Utf8<'t> {
    text: &'t [u8],
    run: Range<usize>,
    is_valid: bool,
}

impl Utf8<'_> {
    /// Takes in a block that is not ASCII.
    #[cold]
    fn push(&mut self, at: usize) {
        if at != self.run.end || self.run.is_empty() {
            self.check();
            self.run.start = at;
        }
        self.run.end = at + STEP;
    }

    /// A character that lies across the end of a run is no character: what follows it there is ASCII.
    fn check(&mut self) {
        let end = self.run.end.min(self.text.len());
        let run = self.text.get(self.run.start..end).unwrap_or_default();
        self.is_valid &= std::str::from_utf8(run).is_ok();
    }
}
