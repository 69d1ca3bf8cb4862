//! Tokens: signed, so that a restart of the emulator voids none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What a token is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenKind {
    /// Unity Catalog and SQL.
    Plain,
    /// One Zerobus table.
    Zerobus,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Claims {
    #[serde(rename = "sub")]
    pub(crate) subject: String,
    pub(crate) kind: TokenKind,
    /// Milliseconds.
    pub(crate) issued_at: i64,
    /// Milliseconds.
    pub(crate) expires_at: i64,
    /// Seconds, for clients that look.
    pub(crate) exp: i64,
    #[serde(rename = "jti")]
    pub(crate) id: String,
    /// The table of a Zerobus token.
    #[serde(default)]
    pub(crate) table: String,
    /// Whether the catalog and the schema were among the authorisations.
    #[serde(default)]
    pub(crate) has_way: bool,
    /// Whether SELECT and MODIFY were.
    #[serde(default)]
    pub(crate) has_rights: bool,
}

impl Claims {
    /// The token.
    pub(crate) fn sign(&self, key: &str) -> Option<String> {
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).ok()?);
        let signed = format!("{head}.{body}");
        let signature = URL_SAFE_NO_PAD.encode(mac(&signed, key)?.finalize().into_bytes());
        Some(format!("{signed}.{signature}"))
    }

    /// What a token says, if it was signed with that key.
    pub(crate) fn verify(token: &str, key: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        mac(signed, key)?.verify_slice(&signature).ok()?;
        let (_, body) = signed.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }
}

fn mac(text: &str, key: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_believed_only_under_the_key_that_signed_it() {
        let claims = Claims {
            subject: "p".to_owned(),
            kind: TokenKind::Zerobus,
            issued_at: 1,
            expires_at: 2,
            exp: 0,
            id: "x".to_owned(),
            table: "c.s.t".to_owned(),
            has_way: true,
            has_rights: true,
        };
        let token = claims.sign("key").unwrap();
        assert_eq!(Claims::verify(&token, "key"), Some(claims));
        assert_eq!(Claims::verify(&token, "other"), None);
        let tampered = token.replacen('.', ".a", 1);
        assert_eq!(Claims::verify(&tampered, "key"), None);
        assert_eq!(Claims::verify("nonsense", "key"), None);
    }
}
