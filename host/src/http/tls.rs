//! The listener's certificate and key.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::HttpError;

/// What the listener proves itself with.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Tls {
    /// Reads a chain of certificates and its key, both PEM.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self, HttpError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificates)
            .and_then(Iterator::collect)
            .map_err(|error| refused(certificates, &error))?;
        if chain.is_empty() {
            return Err(refused(certificates, &"it holds no certificate (PEM)"));
        }
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
            pem::Error::NoItemsFound => refused(key, &"it holds no private key (PEM)"),
            error => refused(key, &error),
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(certificates, &error))?
            .with_no_client_auth()
            .with_single_cert(chain, key_der)
            .map_err(|error| refused(certificates, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    /// What shakes hands with clients.
    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

fn refused(path: &Path, error: &dyn std::fmt::Display) -> HttpError {
    HttpError::Tls {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
