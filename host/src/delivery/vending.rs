//! Credentials for storage, from the plugin that vends them to a destination's other plugins.
//!
//! The vendor is an instance of its own, made when it is first asked. What it hands out is kept until shortly before it
//! stops working, one set for each question; those who ask at once wait for one answer.

use std::collections::HashMap;
use std::sync::Arc;

use lakefeed_plugin_api::{CredentialRequest, Credentials, PluginError};
use tokio::sync::Mutex;

use super::plugin_target::make;
use super::spec::PluginUse;
use crate::change::Timestamp;
use crate::plugin::{
    CredentialFuture, CredentialSource, Instance, InstanceContext, InstanceState, PluginRegistry,
};

/// Credentials with less left than this are not lent.
const RENEW_BEFORE_MS: u64 = 5 * 60 * 1000;

/// A destination's vendor.
pub(super) struct Vending {
    plugins: Arc<PluginRegistry>,
    vendor: PluginUse,
    context: InstanceContext,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    instance: Option<Arc<Instance>>,
    credentials: HashMap<CredentialRequest, Credentials>,
}

impl Vending {
    /// A vendor that is yet to be made.
    pub(super) fn new(plugins: Arc<PluginRegistry>, vendor: PluginUse, context: InstanceContext) -> Self {
        Self {
            plugins,
            vendor,
            context,
            held: Mutex::default(),
        }
    }

    async fn vend(&self, request: CredentialRequest) -> Result<Credentials, PluginError> {
        let mut held = self.held.lock().await;
        if let Some(credentials) = held.credentials.get(&request)
            && is_fresh(credentials, Timestamp::now())
        {
            return Ok(credentials.clone());
        }
        let instance = match &held.instance {
            Some(instance) if instance.state() == InstanceState::Ready => Arc::clone(instance),
            _ => Arc::new(make(&self.plugins, &self.vendor, self.context.clone()).await?),
        };
        held.instance = Some(Arc::clone(&instance));
        let credentials = instance.vend(&request).await?;
        held.credentials.insert(request, credentials.clone());
        Ok(credentials)
    }
}

impl CredentialSource for Vending {
    fn credentials(self: Arc<Self>, request: CredentialRequest) -> CredentialFuture {
        Box::pin(async move { self.vend(request).await })
    }
}

/// Whether credentials hold for a while yet.
fn is_fresh(credentials: &Credentials, now: Timestamp) -> bool {
    let now = u64::try_from(now.0 / 1000).unwrap_or(u64::MAX);
    credentials
        .expires_at_ms
        .is_none_or(|end| now.saturating_add(RENEW_BEFORE_MS) < end)
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::{CloudCredentials, Secret};

    use super::*;

    #[test]
    fn credentials_are_lent_until_five_minutes_before_their_end() {
        let ending = |expires_at_ms| Credentials {
            cloud: CloudCredentials::Gcp {
                token: Secret::new("t"),
            },
            expires_at_ms,
            location: String::new(),
        };
        let now = Timestamp::now();
        let ms = u64::try_from(now.0 / 1000).unwrap();
        assert!(is_fresh(&ending(None), now));
        assert!(is_fresh(&ending(Some(ms + RENEW_BEFORE_MS + 10)), now));
        assert!(!is_fresh(&ending(Some(ms + RENEW_BEFORE_MS)), now));
    }
}
