//! Base64 as FHIR writes it: the standard alphabet, with padding, white space ignored.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the bytes that `text` stands for; false, and nothing appended, where it is not base64.
pub(crate) fn decode(text: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut buffer = 0_u32;
    let mut held = 0_u32;
    let mut padding = 0;
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let Some(six) = digit(byte) else {
            padding += 1;
            if byte == b'=' && padding <= 2 {
                continue;
            }
            out.truncate(start);
            return false;
        };
        buffer = buffer << 6 | six;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((buffer >> held & 0xff) as u8);
        }
        if padding > 0 {
            out.truncate(start);
            return false;
        }
    }
    let complete = matches!((held, padding), (0, 0) | (4, 2) | (2, 1));
    if !complete {
        out.truncate(start);
    }
    complete
}

/// The text of some bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0_u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for place in 0..4 {
            let six = (word >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= chunk.len() {
                char::from(ALPHABET[six])
            } else {
                '='
            });
        }
    }
    text
}

fn digit(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn bytes_survive_a_round_trip_and_damage_is_noticed() {
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"hello\n", &[0, 255, 128, 7]] {
            let mut back = Vec::new();
            assert!(decode(&encode(bytes), &mut back));
            assert_eq!(back, bytes);
        }
        assert_eq!(encode(b"hello\n"), "aGVsbG8K");
        for text in ["a", "aGVsbG8", "aGV$", "====", "aG=V"] {
            assert!(!decode(text, &mut Vec::new()), "{text}");
        }
    }
}
