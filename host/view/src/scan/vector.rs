//! What is seen in 64 bytes, 32 at a time in a vector register.

use std::arch::x86_64::{
    __m256i, _MM_HINT_T0, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_prefetch, _mm_set_epi64x,
    _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8,
};

use super::{Block, STEP, Seen};

/// Whether the processor has what [`pass`] uses. The answer is remembered by the standard library.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("pclmulqdq")
        && is_x86_feature_detected!("popcnt")
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt")]
pub(super) fn pass(text: &[u8], blocks: &mut Vec<Block>) -> bool {
    super::pass(text, blocks, |bytes| see(bytes), |bits| parity(bits), fetch)
}

#[target_feature(enable = "avx2,pclmulqdq,popcnt")]
fn see(bytes: &[u8; STEP]) -> Seen {
    let [low, high] = halves(bytes);
    let equal = |byte: u8, [low, high]: [__m256i; 2]| {
        let wanted = _mm256_set1_epi8(byte.cast_signed());
        bits([_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted)])
    };
    // With this bit set `[` is `{`, and `]` is `}`.
    let bit = _mm256_set1_epi8(0x20);
    let braced = [_mm256_or_si256(low, bit), _mm256_or_si256(high, bit)];
    let control = _mm256_set1_epi8(0x1f);
    let backslash = _mm256_set1_epi8(b'\\'.cast_signed());
    let is_special = |half| {
        let is_control = _mm256_cmpeq_epi8(_mm256_min_epu8(half, control), half);
        _mm256_or_si256(is_control, _mm256_cmpeq_epi8(half, backslash))
    };
    Seen {
        quotes: equal(b'"', [low, high]),
        backslashes: equal(b'\\', [low, high]),
        opens: equal(b'{', braced),
        closes: equal(b'}', braced),
        special: bits([is_special(low), is_special(high)]),
        is_ascii: _mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0,
    }
}

/// Asks for the bytes at an address.
fn fetch(address: *const u8) {
    // SAFETY: a prefetch reads nothing that the program could see, and of an address that it must not read it does
    // nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[target_feature(enable = "avx2")]
fn halves(bytes: &[u8; STEP]) -> [__m256i; 2] {
    let (halves, _) = bytes.as_chunks::<32>();
    // SAFETY: the loads read 32 bytes each, of arrays of 32 bytes, and ask for no alignment.
    unsafe {
        [
            _mm256_loadu_si256(halves[0].as_ptr().cast()),
            _mm256_loadu_si256(halves[1].as_ptr().cast()),
        ]
    }
}

/// The highest bit of each byte, those of the first half below those of the second.
#[target_feature(enable = "avx2")]
fn bits([low, high]: [__m256i; 2]) -> u64 {
    let bits = |half| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    bits(low) | bits(high) << 32
}

/// Multiplying by all ones without carry adds to each bit all those below it, modulo two.
#[target_feature(enable = "pclmulqdq")]
fn parity(bits: u64) -> u64 {
    let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product).cast_unsigned()
}
