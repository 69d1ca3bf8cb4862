//! Who may ask: clients, by HTTP Basic or with a token, or, without any, this machine only.

use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::change::Timestamp;
use crate::config::ClientAccess;

use super::outcome::Outcome;

mod tokens;

pub(super) use tokens::{LIFETIME, Tokens};

/// What a 401 asks for.
pub(super) const CHALLENGE: &str = "Basic realm=\"lakefeed\", charset=\"UTF-8\", Bearer realm=\"lakefeed\"";

/// A client that may ask. Its secret is kept as a digest only.
#[derive(Clone)]
pub struct Client {
    name: String,
    digest: [u8; 32],
    access: ClientAccess,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Client")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client with its secret, who may do everything.
    pub fn new(name: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            digest: digest(name, secret),
            access: ClientAccess::All,
        }
    }

    /// The same client, who may do this.
    pub fn with_access(self, access: ClientAccess) -> Self {
        Self { access, ..self }
    }

    /// The client's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who may ask.
#[derive(Clone, Debug)]
pub enum Access {
    /// Programs on this machine, without credentials. The listener must be on loopback, and the `Host` (and, from
    /// a browser, the `Origin`) must name it, so that a web page elsewhere cannot reach in by a name of its own.
    Loopback,
    /// These clients, by HTTP Basic or with a token that they were given for name and secret.
    Clients(Vec<Client>),
}

impl Access {
    /// Loopback when there are no clients, else the clients.
    pub fn of(clients: Vec<Client>) -> Self {
        match clients.is_empty() {
            true => Self::Loopback,
            false => Self::Clients(clients),
        }
    }

    /// Whether clients must name themselves.
    pub(super) fn has_clients(&self) -> bool {
        matches!(self, Self::Clients(_))
    }

    /// Whether a listener at this address is safe under this rule.
    pub(super) fn permits(&self, address: SocketAddr) -> bool {
        self.has_clients() || address.ip().is_loopback()
    }

    /// Says what the sender of a request may do, or refuses it.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        tokens: &Tokens,
    ) -> Result<ClientAccess, Outcome> {
        match self {
            Self::Loopback => check_loopback(headers, uri).map(|()| ClientAccess::All),
            Self::Clients(_) => match self.sender(headers, tokens) {
                Some(client) => Ok(client.access),
                None => Err(Outcome::unauthorized()),
            },
        }
    }

    fn sender(&self, headers: &HeaderMap, tokens: &Tokens) -> Option<&Client> {
        if let Some((name, secret)) = basic(headers) {
            return self.client(&name, &secret);
        }
        let name = tokens.client(credentials(headers, "bearer")?, Timestamp::now())?;
        self.clients().iter().find(|client| client.name == name)
    }

    /// The client of a name and a secret. Compares with every client whatever was found, in a time that does not depend
    /// on the secrets.
    pub(super) fn client(&self, name: &str, secret: &str) -> Option<&Client> {
        let given = digest(name, secret);
        let mut found = None;
        for client in self.clients() {
            if bool::from(client.digest.ct_eq(&given)) {
                found = Some(client);
            }
        }
        found
    }

    fn clients(&self) -> &[Client] {
        match self {
            Self::Loopback => &[],
            Self::Clients(clients) => clients,
        }
    }
}

fn digest(name: &str, secret: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    // A name has no colon in HTTP Basic, so the two cannot run into each other.
    hash.update(name.as_bytes());
    hash.update(b":");
    hash.update(secret.as_bytes());
    hash.finalize().into()
}

/// The name and secret of HTTP Basic.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = credentials(headers, "basic")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}

/// What stands behind a scheme in `Authorization`.
fn credentials<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let (scheme, credentials) = text(headers, &AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| credentials.trim())
}

fn check_loopback(headers: &HeaderMap, uri: &Uri) -> Result<(), Outcome> {
    let host = match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => text(headers, &HOST),
    };
    if !host.is_some_and(is_loopback_authority) {
        return Err(forbidden(
            "without credentials configured, `Host` must name this machine: localhost",
        ));
    }
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.split_once("://"));
    match origin {
        Some((_, authority)) if is_loopback_authority(authority) => Ok(()),
        _ => Err(forbidden(
            "without credentials configured, web pages from elsewhere may not ask",
        )),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(diagnostics: &str) -> Outcome {
    Outcome::new(StatusCode::FORBIDDEN, "forbidden", diagnostics)
}

/// Whether `host` or `host:port` is a name of this machine that no other can take.
fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn status(access: &Access, headers: &HeaderMap) -> u16 {
        access
            .check(
                headers,
                &Uri::from_static("/fhir/Patient"),
                &Tokens::new().unwrap(),
            )
            .map_or_else(|outcome| outcome.status().as_u16(), |_| 200)
    }

    #[test]
    fn a_client_is_known_by_name_and_secret_together() {
        let access = Access::of(vec![Client::new("ops", "s:1"), Client::new("etl", "s2")]);
        let basic = |text: &str| with(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(status(&access, &basic("ops:s:1")), 200);
        assert_eq!(status(&access, &basic("etl:s2")), 200);
        for wrong in ["ops:s2", "ops:", "ops", ":", "x:s:1"] {
            assert_eq!(status(&access, &basic(wrong)), 401, "{wrong}");
        }
        assert_eq!(status(&access, &HeaderMap::new()), 401);
        assert_eq!(status(&access, &with(AUTHORIZATION, "Bearer abc")), 401);
        assert_eq!(status(&access, &with(AUTHORIZATION, "Basic %%%")), 401);
    }

    #[test]
    fn a_token_is_taken_from_a_client_that_there_is() {
        let tokens = Tokens::new().unwrap();
        let access = Access::of(vec![Client::new("ops", "s")]);
        let check = |text: &str| {
            let headers = with(AUTHORIZATION, text);
            let checked = access.check(&headers, &Uri::from_static("/fhir/Patient"), &tokens);
            checked.map_or_else(|outcome| outcome.status().as_u16(), |_| 200)
        };
        let token = |name: &str, now: Timestamp| tokens.make(name, now);
        let now = Timestamp::now();
        assert_eq!(check(&format!("Bearer {}", token("ops", now))), 200);
        assert_eq!(check(&format!("bearer {}", token("ops", now))), 200);
        assert_eq!(check(&format!("Basic {}", token("ops", now))), 401);
        assert_eq!(check(&format!("Bearer {}", token("gone", now))), 401);
        assert_eq!(check(&format!("Bearer {}", token("ops", Timestamp(0)))), 401);
    }

    #[test]
    fn a_name_that_was_rebound_to_loopback_is_refused() {
        let access = Access::of(Vec::new());
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:80",
            "[::1]:8080",
            "LOCALHOST",
        ] {
            assert_eq!(status(&access, &with(HOST, host)), 200, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert_eq!(status(&access, &with(HOST, host)), 403, "{host}");
        }
        assert_eq!(status(&access, &HeaderMap::new()), 403);
    }

    #[test]
    fn a_page_from_elsewhere_is_refused_even_when_it_asks_localhost() {
        let access = Access::Loopback;
        for (origin, expect) in [
            ("http://localhost:8080", 200),
            ("https://evil.example", 403),
            ("null", 403),
        ] {
            let mut headers = with(HOST, "localhost:8080");
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(status(&access, &headers), expect, "{origin}");
        }
    }

    #[test]
    fn without_clients_only_loopback_may_listen() {
        let anywhere = SocketAddr::from(([0, 0, 0, 0], 80));
        assert!(!Access::Loopback.permits(anywhere));
        assert!(Access::Loopback.permits(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert!(Access::of(vec![Client::new("a", "b")]).permits(anywhere));
    }

    #[test]
    fn a_client_prints_without_its_secret() {
        assert_eq!(
            format!("{:?}", Client::new("ops", "hush")),
            r#"Client { name: "ops", .. }"#
        );
    }
}
