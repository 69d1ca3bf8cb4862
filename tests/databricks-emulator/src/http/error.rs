//! The body of an answer that refuses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Why a request is refused, as the service tells it.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// A name, or a number where a gateway answers.
    pub(crate) code: Value,
    pub(crate) message: String,
    reason: Option<&'static str>,
    metadata: Map<String, Value>,
    /// The header that tells why, on answers of the gateway.
    reason_phrase: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: json!(code),
            message: message.into(),
            reason: None,
            metadata: Map::new(),
            reason_phrase: false,
        }
    }

    /// 400 INVALID_PARAMETER_VALUE.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    /// 404 with the name of what does not exist, such as `TABLE_DOES_NOT_EXIST`.
    pub(crate) fn missing(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 403 PERMISSION_DENIED.
    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message)
    }

    /// 403 with a number for a name, as the gateway answers a token that is not valid.
    pub(crate) fn invalid_token() -> Self {
        let id = uuid::Uuid::new_v4();
        Self {
            code: json!(403),
            reason_phrase: true,
            ..Self::new(
                StatusCode::FORBIDDEN,
                "",
                format!("Invalid access token. [ReqId: {id}]"),
            )
        }
    }

    /// 401, no credential.
    pub(crate) fn no_credential() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "Credential was not sent or was of an unsupported type for this API.",
        )
    }

    /// 500, the emulator itself.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            error.to_string(),
        )
    }

    /// The same with an `ErrorInfo` among the details.
    pub(crate) fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The same with a fact in its `ErrorInfo`.
    pub(crate) fn about(mut self, name: &str, value: &str) -> Self {
        self.metadata.insert(name.to_owned(), json!(value));
        self
    }

    fn body(&self) -> Value {
        let mut body = json!({"error_code": self.code, "message": self.message});
        let code = self.code.as_str().map(str::to_owned);
        if let (Some(reason), Some(members)) = (self.reason.map(str::to_owned).or(code), body.as_object_mut())
        {
            let details = json!([
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": reason,
                    "domain": "unity-catalog.databricks.com",
                    "metadata": self.metadata,
                },
                {
                    "@type": "type.googleapis.com/google.rpc.RequestInfo",
                    "request_id": uuid::Uuid::new_v4().to_string(),
                    "serving_data": "",
                },
            ]);
            if self.reason.is_some() || !self.metadata.is_empty() {
                members.insert("details".to_owned(), details);
            }
        }
        body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if self.reason_phrase {
            response.headers_mut().insert(
                "X-Databricks-Reason-Phrase",
                HeaderValue::from_static("Invalid access token."),
            );
        }
        response
    }
}
