//! [`Outcome`]: every error this server answers, as an OperationOutcome.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lakefeed_view::r4::check as r4;
use serde_json::{Value, json};

use crate::intake::Refusal;
use crate::intake::criteria::CriteriaError;
use crate::intake::patch::PatchRefusal;
use crate::log::{LogError, Refused, WriteError};

use super::FHIR_JSON;
use super::auth::CHALLENGE;

/// An answer other than success.
#[derive(Debug)]
pub(super) struct Outcome {
    status: StatusCode,
    issues: Vec<Issue>,
    header: Option<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    /// `fatal`, `error`, `warning` or `information`.
    pub(super) severity: &'static str,
    /// A code of FHIR's issue-type value set.
    pub(super) code: String,
    /// What is wrong and what to do; holds no patient data.
    pub(super) diagnostics: String,
    /// The elements that are wrong, as FHIRPaths.
    pub(super) expression: Vec<String>,
}

impl Issue {
    /// A fatal issue without an expression.
    pub(super) fn new(code: &str, diagnostics: impl Into<String>) -> Self {
        Self {
            severity: "fatal",
            code: code.to_owned(),
            diagnostics: diagnostics.into(),
            expression: Vec::new(),
        }
    }

    /// The same issue at an element.
    pub(super) fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression.push(expression.into());
        self
    }

    fn to_json(&self) -> Value {
        let mut issue = json!({
            "severity": self.severity,
            "code": self.code,
            "diagnostics": self.diagnostics,
        });
        if !self.expression.is_empty() {
            issue["expression"] = json!(self.expression);
        }
        issue
    }
}

impl Outcome {
    /// One issue.
    pub(super) fn new(status: StatusCode, code: &str, diagnostics: impl Into<String>) -> Self {
        Self::of(status, vec![Issue::new(code, diagnostics)])
    }

    /// Several issues.
    pub(super) fn of(status: StatusCode, issues: Vec<Issue>) -> Self {
        Self {
            status,
            issues,
            header: None,
        }
    }

    /// 400: the request itself is wrong.
    pub(super) fn bad_request(code: &str, diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, diagnostics)
    }

    /// 422: the content is wrong, in these places.
    pub(super) fn unprocessable(issues: Vec<Issue>) -> Self {
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, issues)
    }

    /// 404: there is nothing here.
    pub(super) fn not_found(diagnostics: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", diagnostics)
    }

    /// 405: something is here, but not for this method. `allowed` is the `Allow` header.
    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        Self {
            header: Some((ALLOW, HeaderValue::from_static(allowed))),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "not-supported",
                format!("this method is not allowed here; allowed: {allowed}"),
            )
        }
    }

    /// The same with the `Allow` header, which a 405 has.
    pub(super) fn allowing(self, allowed: &'static str) -> Self {
        Self {
            header: Some((ALLOW, HeaderValue::from_static(allowed))),
            ..self
        }
    }

    /// 401: credentials are missing or wrong.
    pub(super) fn unauthorized() -> Self {
        Self {
            header: Some((WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE))),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "login",
                "the client's name and secret, or its token, are missing or wrong, or the token is no longer good; \
                 `POST /auth/token` gives another",
            )
        }
    }

    /// 503: not now. `seconds` is the `Retry-After` header.
    pub(super) fn unavailable(diagnostics: impl Into<String>, seconds: u16) -> Self {
        Self {
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "transient", diagnostics)
        }
    }

    /// 503 with places.
    pub(super) fn retry_later(issues: Vec<Issue>, seconds: u16) -> Self {
        Self {
            header: Some((RETRY_AFTER, HeaderValue::from(seconds))),
            ..Self::of(StatusCode::SERVICE_UNAVAILABLE, issues)
        }
    }

    /// Nothing is wrong: what was done, in words.
    pub(super) fn information(diagnostics: &str) -> Self {
        let issue = Issue {
            severity: "information",
            ..Issue::new("informational", diagnostics)
        };
        Self::of(StatusCode::OK, vec![issue])
    }

    /// 415: a patch of another kind than those that are taken.
    pub(super) fn unsupported_patch() -> Self {
        const TAKEN: &str =
            "application/json-patch+json, application/merge-patch+json, application/fhir+json";
        Self {
            header: Some((
                HeaderName::from_static("accept-patch"),
                HeaderValue::from_static(TAKEN),
            )),
            ..Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-supported",
                format!("a patch is one of {TAKEN} (FHIRPath patches); XML is not taken"),
            )
        }
    }

    /// 500: our fault. What happened is in the log, not in the answer.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "exception",
            "the server failed at this request; its log says more",
        )
    }

    /// The same about an entry of a Bundle: what it says of the resource is said of the resource in the entry.
    pub(super) fn within(self, entry: usize) -> Self {
        self.below(&format!("Bundle.entry[{entry}].resource"))
    }

    /// The same about what is found at a place: `Patient.name` becomes `PLACE.name`.
    pub(super) fn below(mut self, place: &str) -> Self {
        for issue in &mut self.issues {
            if issue.expression.is_empty() {
                issue.expression.push(place.to_owned());
            }
            for expression in &mut issue.expression {
                if !expression.starts_with("Bundle.entry[") {
                    let rest = expression.find(['.', '[']).map_or("", |at| &expression[at..]);
                    *expression = format!("{place}{rest}");
                }
            }
        }
        self
    }

    /// The status that it is answered with.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// As JSON, in the form that Aidbox gives it: an id that is the first issue's code, and a text.
    pub(super) fn to_json(&self) -> Value {
        let id = self
            .issues
            .first()
            .map_or("exception", |issue| issue.code.as_str());
        let lines: Vec<String> = self
            .issues
            .iter()
            .map(|issue| escape_html(&issue.diagnostics))
            .collect();
        json!({
            "resourceType": "OperationOutcome",
            "id": id,
            "text": {
                "status": "generated",
                "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", lines.join("<br/>")),
            },
            "issue": self.issues.iter().map(Issue::to_json).collect::<Vec<_>>(),
        })
    }
}

/// A text as it may stand in HTML, in an element or in an attribute.
pub(super) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
            Refusal::Json(_) => (StatusCode::BAD_REQUEST, "structure"),
            Refusal::Body(_) => (StatusCode::UNPROCESSABLE_ENTITY, "structure"),
            Refusal::UnknownType { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "not-supported"),
            Refusal::OtherType { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Refusal::Id { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "value"),
            Refusal::NoId => (StatusCode::UNPROCESSABLE_ENTITY, "required"),
            Refusal::Definition => (StatusCode::UNPROCESSABLE_ENTITY, "business-rule"),
            Refusal::Invalid(issues) => {
                let issue = |issue: &r4::Issue| {
                    Issue::new(issue.fault.issue_type(), issue.to_string()).at(&*issue.expression)
                };
                return Self::unprocessable(issues.iter().map(issue).collect());
            }
        };
        let issue = Issue::new(code, refusal.to_string());
        let issue = match refusal.expression() {
            Some(expression) => issue.at(expression),
            None => issue,
        };
        Self::of(status, vec![issue])
    }
}

impl From<CriteriaError> for Outcome {
    fn from(error: CriteriaError) -> Self {
        let code = match &error {
            CriteriaError::Unsupported { .. } => "not-supported",
            CriteriaError::Value { .. } => "value",
            CriteriaError::TooMany => "too-costly",
        };
        Self::bad_request(code, error.to_string())
    }
}

impl From<PatchRefusal> for Outcome {
    /// 400 for what is no patch, 422 for one that does not fit the resource.
    fn from(refusal: PatchRefusal) -> Self {
        let text = refusal.to_string();
        match &refusal {
            refusal if refusal.is_of_the_patch() => Self::bad_request("structure", text),
            PatchRefusal::Fixed(member) => {
                let issue = Issue::new("business-rule", text).at(format!("Resource.{member}"));
                Self::unprocessable(vec![issue])
            }
            _ => Self::unprocessable(vec![Issue::new("processing", text)]),
        }
    }
}

impl From<Vec<crate::issue::Issue>> for Outcome {
    /// 422 with all that is wrong with a definition.
    fn from(issues: Vec<crate::issue::Issue>) -> Self {
        let issues = issues.into_iter();
        Self::unprocessable(
            issues
                .map(|issue| Issue::new(issue.code.as_str(), issue.diagnostics).at(issue.expression))
                .collect(),
        )
    }
}

impl From<LogError> for Outcome {
    fn from(error: LogError) -> Self {
        tracing::warn!(error = %error, "the store refused a request");
        match error {
            LogError::Full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "no-store",
                "no space is left for the store; nothing was written",
            ),
            LogError::ReadOnly { .. } => Self::unavailable("the store is read-only; nothing was written", 60),
            LogError::Unavailable { .. } => Self::unavailable("the store is not available", 5),
            LogError::InUse { .. } => Self::unavailable("another host took the store over", 5),
            LogError::Closed => Self::unavailable("the server is stopping", 5),
            LogError::NoDestination { .. } => Self::not_found(error.to_string()),
            LogError::DestinationExists { .. } => {
                Self::new(StatusCode::CONFLICT, "conflict", error.to_string())
            }
            _ => Self::internal(),
        }
    }
}

impl From<WriteError> for Outcome {
    /// For a write whose request named a version or `*`; a create answers its own refusal.
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Log(error) => error.into(),
            WriteError::Refused { refused, .. } => refused_precondition(refused),
        }
    }
}

fn refused_precondition(refused: Refused) -> Outcome {
    Outcome::new(StatusCode::PRECONDITION_FAILED, "conflict", refused.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_the_form_that_aidbox_gives_it() {
        let outcome = Outcome::not_found("there is no Patient/<x>");
        assert_eq!(
            outcome.to_json().to_string(),
            concat!(
                r#"{"resourceType":"OperationOutcome","id":"not-found","text":{"status":"generated","#,
                r#""div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">there is no Patient/&lt;x&gt;</div>"},"#,
                r#""issue":[{"severity":"fatal","code":"not-found","diagnostics":"there is no Patient/<x>"}]}"#
            )
        );
    }

    #[test]
    fn a_request_to_a_host_that_lost_its_store_is_to_be_sent_again() {
        let outcome = Outcome::from(LogError::InUse {
            store: "the store".to_owned(),
        });
        assert_eq!(outcome.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_refusal_names_the_element() {
        let refusal = Refusal::Id {
            resource_type: "Patient".to_owned(),
        };
        let outcome = Outcome::from(refusal);
        assert_eq!(outcome.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(outcome.to_json()["issue"][0]["expression"][0], "Patient.id");
    }

    #[test]
    fn a_full_store_is_507_and_one_that_is_away_is_503_with_a_time_to_come_back() {
        assert_eq!(
            Outcome::from(LogError::Full).status(),
            StatusCode::INSUFFICIENT_STORAGE
        );
        let away = Outcome::from(LogError::Unavailable {
            reason: "busy".to_owned(),
        });
        let response = away.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "5");
    }
}
