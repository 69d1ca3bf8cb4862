//! Whether a body was sent by somebody who knows the secret: a hexadecimal HMAC-SHA256 of it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether `signature` is the body's under the secret; the time that takes does not depend on where they differ.
pub fn is_of(signature: &str, secret: &str, body: &[u8]) -> bool {
    let Some(given) = bytes(signature.trim()) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

/// The bytes of 64 hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..64).step_by(2).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_body_and_one_secret() {
        // RFC 4231, test case 2.
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        assert!(is_of(signature, "Jefe", body));
        assert!(is_of(&signature.to_uppercase(), "Jefe", body));
        assert!(!is_of(signature, "jefe", body));
        assert!(!is_of(signature, "Jefe", b"what do ya want for something?"));
        for other in ["", "5bdc", &"z".repeat(64), &"+1".repeat(32), &signature[..62]] {
            assert!(!is_of(other, "Jefe", body), "{other}");
        }
    }
}
