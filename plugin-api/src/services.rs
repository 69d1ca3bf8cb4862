//! What the host lends an instance: log, metrics, secrets, tokens, credentials, acks and a small state.

/// The host, as one instance sees it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Host(());
