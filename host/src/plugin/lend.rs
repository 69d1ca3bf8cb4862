//! Answers to a plugin's questions that take time: each is given exactly once, also when the host's runtime ends first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lakefeed_plugin_api::abi::{AbiCompletion, AbiDocument, AbiStatus, AbiStr};
use lakefeed_plugin_api::{Category, CredentialRequest, Credentials, PluginError};
use serde::Serialize;
use tokio::runtime::Handle;

use super::services::complete;

/// Credentials that are on their way.
pub type CredentialFuture = Pin<Box<dyn Future<Output = Result<Credentials, PluginError>> + Send>>;

/// Where an instance's credentials for storage come from.
pub trait CredentialSource: Send + Sync {
    /// Credentials that hold for some minutes at least.
    fn credentials(self: Arc<Self>, request: CredentialRequest) -> CredentialFuture;
}

/// Completes a question with what a future answers.
pub(super) fn answer_later<T: Serialize + Send + 'static>(
    runtime: &Handle,
    completion: AbiCompletion,
    answer: impl Future<Output = Result<T, PluginError>> + Send + 'static,
) {
    let question = Question(Some(completion));
    runtime.spawn(async move {
        let answer = answer.await;
        question.tell(answer);
    });
}

/// A question that somebody waits for an answer to.
struct Question(Option<AbiCompletion>);

impl Question {
    fn tell<T: Serialize>(mut self, answer: Result<T, PluginError>) {
        let Some(completion) = self.0.take() else { return };
        let written = answer.and_then(|answer| {
            serde_json::to_string(&answer)
                .map_err(|_| PluginError::new(Category::Internal, "HOST-005", "an answer cannot be written"))
        });
        match written {
            Ok(json) => complete_document(&completion, &json),
            Err(error) => complete(&completion, Err(&error)),
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(completion) = self.0.take() {
            let error = PluginError::new(Category::Cancelled, "HOST-006", "the host stops");
            complete(&completion, Err(&error));
        }
    }
}

fn complete_document(completion: &AbiCompletion, json: &str) {
    let document = AbiDocument {
        size: size_of::<AbiDocument>() as u32,
        reserved: 0,
        json: AbiStr::new(json),
    };
    super::services::complete_with(completion, &AbiStatus::OK, (&raw const document).cast());
}
