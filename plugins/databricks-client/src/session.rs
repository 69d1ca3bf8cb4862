//! A workspace that is signed in to: each call with a token of the host's, and once more with a fresh one.

use bytes::Bytes;
use lakefeed_plugin_api::{Host, TokenRequest};
use reqwest::Method;
use serde::Serialize;

use crate::classify::is_token_refused;
use crate::{Answer, DatabricksError, Http, Workspace};

/// A workspace, and the host that lends tokens for it.
#[derive(Debug)]
pub struct Databricks {
    host: Host,
    workspace: Workspace,
    http: Http,
}

impl Databricks {
    /// A workspace to be called with the host's tokens. Does nothing yet.
    #[must_use]
    pub fn new(host: Host, workspace: Workspace) -> Self {
        let http = Http::new(workspace.is_local());
        Self {
            host,
            workspace,
            http,
        }
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The plain token that everything but the ingest service takes (W 1.1).
    #[must_use]
    pub fn plain_token(&self) -> TokenRequest {
        TokenRequest {
            server: self.workspace.server(),
            scope: "all-apis".to_owned(),
            ..TokenRequest::default()
        }
    }

    /// Reads.
    pub async fn get(&self, doing: &'static str, path: &str) -> Result<Answer, DatabricksError> {
        self.call(doing, Method::GET, path, None).await
    }

    /// Sends a document.
    pub async fn post(
        &self,
        doing: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Answer, DatabricksError> {
        let body = serde_json::to_vec(body).map_err(|error| DatabricksError::Unreachable {
            doing,
            what: "the request cannot be made",
            may_have_arrived: false,
            cause: error.to_string(),
        })?;
        self.call(doing, Method::POST, path, Some(body.into())).await
    }

    /// Reads without signing in.
    pub async fn get_openly(&self, doing: &'static str, path: &str) -> Result<Answer, DatabricksError> {
        let address = self.workspace.address(path);
        let answer = self.http.send(doing, Method::GET, &address, None, None).await?;
        successful(doing, answer)
    }

    async fn call(
        &self,
        doing: &'static str,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, DatabricksError> {
        let address = self.workspace.address(path);
        let answer = self
            .send(doing, &self.plain_token(), &self.http, (method, &address), body)
            .await?;
        successful(doing, answer)
    }

    /// Sends with a token, and once more with a fresh one if that was refused; answers whatever comes back then.
    pub async fn send(
        &self,
        doing: &'static str,
        request: &TokenRequest,
        http: &Http,
        (method, address): (Method, &str),
        body: Option<Bytes>,
    ) -> Result<Answer, DatabricksError> {
        let token = self.token(request).await?;
        let answer = http
            .send(
                doing,
                method.clone(),
                address,
                Some(token.bearer.reveal()),
                body.clone(),
            )
            .await?;
        if answer.is_success() || !is_token_refused(&answer.refused()) {
            return Ok(answer);
        }
        self.host.invalidate_token(request);
        let token = self.token(request).await?;
        http.send(doing, method, address, Some(token.bearer.reveal()), body)
            .await
    }

    /// A token of the host's.
    pub async fn token(&self, request: &TokenRequest) -> Result<lakefeed_plugin_api::Token, DatabricksError> {
        let token = self.host.token(request).await;
        token.map_err(|error| DatabricksError::Token(Box::new(error)))
    }
}

fn successful(doing: &'static str, answer: Answer) -> Result<Answer, DatabricksError> {
    if answer.is_success() {
        return Ok(answer);
    }
    Err(DatabricksError::Refused {
        doing,
        answer: Box::new(answer.refused()),
    })
}
