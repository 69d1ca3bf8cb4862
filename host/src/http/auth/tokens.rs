//! Bearer tokens: a client's name and an expiry under a key that this host made for itself.
//!
//! Nothing is kept of a token that was given out. The key is made when the listener starts and is nowhere else, so a
//! restart ends all tokens; a client then gets 401 and asks for another.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::HttpError;
use crate::change::Timestamp;

/// How long a token is good for.
pub(in crate::http) const LIFETIME: Duration = Duration::from_secs(3600);

const MAC: usize = 32;
const EXPIRY: usize = 8;

/// Makes tokens and knows its own.
pub(in crate::http) struct Tokens {
    key: [u8; 32],
}

impl Tokens {
    /// With a key of its own.
    pub(in crate::http) fn new() -> Result<Self, HttpError> {
        let mut key = [0; 32];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut key).map_err(|_| HttpError::Random)?;
        Ok(Self { key })
    }

    /// A token for a client: a MAC, and behind it what it is of.
    pub(in crate::http) fn make(&self, client: &str, now: Timestamp) -> String {
        let lifetime = i64::try_from(LIFETIME.as_micros()).unwrap_or(i64::MAX);
        let mut told = now.0.saturating_add(lifetime).to_be_bytes().to_vec();
        told.extend_from_slice(client.as_bytes());
        let mut token = self
            .mac(&told)
            .map_or_else(Vec::new, |mac| mac.finalize().into_bytes().to_vec());
        token.extend_from_slice(&told);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The name of the client that a token was made for; none where it was not made here, or is no longer good. The time
    /// that takes does not depend on where a forged one differs.
    pub(in crate::http) fn client(&self, token: &str, now: Timestamp) -> Option<String> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (mac, told) = token.split_at_checked(MAC)?;
        self.mac(told)?.verify_slice(mac).ok()?;
        let (expiry, client) = told.split_first_chunk::<EXPIRY>()?;
        let is_good = now.0 < i64::from_be_bytes(*expiry);
        is_good.then(|| String::from_utf8(client.to_vec()).ok())?
    }

    fn mac(&self, told: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(told);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_token_is_good_for_an_hour_and_for_its_client() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.make("ops", Timestamp(1_000));
        assert_eq!(tokens.client(&token, Timestamp(1_000)).as_deref(), Some("ops"));
        assert!(tokens.client(&token, Timestamp(999 + HOUR)).is_some());
        assert_eq!(tokens.client(&token, Timestamp(1_000 + HOUR)), None);
    }

    #[test]
    fn a_token_of_another_host_and_one_that_was_changed_are_nobodys() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.make("ops", Timestamp(0));
        assert_eq!(Tokens::new().unwrap().client(&token, Timestamp(0)), None);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(tokens.client(&changed, Timestamp(0)), None, "{place}");
        }
        for length in 0..token.len() {
            assert_eq!(tokens.client(&token[..length], Timestamp(0)), None, "{length}");
        }
    }
}
