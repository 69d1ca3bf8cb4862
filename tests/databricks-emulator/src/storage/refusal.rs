//! What the S3 server did not do, told where it is heard: in words that say what to change.
//!
//! Between a request and whoever reads of its failure lie four libraries. Each puts words of its own around an error and
//! some drop what is inside it, and what a server writes about a wrong signature may repeat the session token. So the
//! answer of the server is judged as it comes in, and its own text goes no further.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use thiserror::Error;

/// How every such text begins, by which it is found again.
const BEGIN: &str = "the S3 server at ";

/// A bucket's client: it passes on what is an answer, and turns what is not into a [`Refusal`].
#[derive(Clone, Debug)]
pub(super) struct Told {
    client: HttpClient,
    address: String,
    bucket: String,
}

/// Why nothing came of a request.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the S3 server at {address} {what}")]
pub(super) struct Refusal {
    address: String,
    what: String,
}

impl Refusal {
    pub(super) fn new(address: &str, what: impl Into<String>) -> Self {
        Self {
            address: address.to_owned(),
            what: what.into(),
        }
    }

    /// No answer came.
    pub(super) fn silent(address: &str) -> Self {
        Self::new(
            address,
            "does not answer: start it, or correct the endpoint that the emulator was started with",
        )
    }
}

/// What the server refused, without the words that were put around it; none if it did not.
pub(crate) fn told(text: &str) -> Option<String> {
    let at = text.rfind(BEGIN)?;
    text[at..].lines().next().map(str::to_owned)
}

/// The text of an element, by its name.
pub(super) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

/// A code as S3 has them; none if it is anything else.
pub(super) fn code(xml: &str) -> Option<&str> {
    element(xml, "Code").filter(|code| {
        code.len() <= 64
            && code
                .bytes()
                .all(|sign| sign.is_ascii_alphanumeric() || sign == b'.')
    })
}

/// What is wrong by an answer of that status and code; none if it is for the caller to understand, as that there is no such
/// object, or that there is one.
fn wrong(status: u16, code: Option<&str>, bucket: &str) -> Option<String> {
    let shown = code.map_or_else(|| status.to_string(), |code| format!("{status} {code}"));
    let keys = "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN beside keys that expire, and \
                start the emulator again";
    match (status, code.unwrap_or_default()) {
        (404, "NoSuchBucket") => Some(format!(
            "has no bucket `{bucket}`: make it there, or give a location in one that exists"
        )),
        (
            400 | 401 | 403,
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId",
        ) => Some(format!("does not know the keys ({shown}): {keys}")),
        (400 | 401 | 403, "ExpiredToken") => Some(format!("takes the keys no longer ({shown}): {keys}")),
        (301 | 307, _)
        | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
            Some(format!(
                "has the bucket `{bucket}` elsewhere ({shown}): correct the region or the endpoint that the emulator was \
                 started with"
            ))
        }
        (_, "RequestTimeTooSkewed") => Some(format!(
            "has another time ({shown}): correct the clock of one of the two"
        )),
        (401 | 403, _) => Some(format!(
            "does not allow this in the bucket `{bucket}` ({shown}): the keys need s3:ListBucket, s3:GetObject, s3:PutObject \
             and s3:DeleteObject there"
        )),
        (200..=299 | 304 | 404 | 408 | 409 | 412 | 416 | 429 | 500.., _) => None,
        _ => Some(format!("refuses a request for the bucket `{bucket}` ({shown})")),
    }
}

impl Told {
    pub(super) fn new(client: HttpClient, address: &str, bucket: &str) -> Self {
        Self {
            client,
            address: address.to_owned(),
            bucket: bucket.to_owned(),
        }
    }
}

impl HttpConnector for Told {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Told {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = self.client.execute(request).await;
        let response =
            answered.map_err(|error| HttpError::new(error.kind(), Refusal::silent(&self.address)))?;
        let status = response.status().as_u16();
        if matches!(status, 200..=299 | 304 | 500..) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await?;
        match wrong(status, code(&String::from_utf8_lossy(&body)), &self.bucket) {
            Some(what) => Err(HttpError::new(
                HttpErrorKind::Unknown,
                Refusal::new(&self.address, what),
            )),
            None => Ok(HttpResponse::from_parts(parts, body.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str) -> Option<String> {
        wrong(status, Some(code).filter(|code| !code.is_empty()), "lake")
    }

    #[test]
    fn what_the_caller_understands_is_passed_on() {
        for (status, code) in [
            (200, ""),
            (304, ""),
            (404, "NoSuchKey"),
            (404, ""),
            (409, "ConditionalRequestConflict"),
            (412, "PreconditionFailed"),
            (416, "InvalidRange"),
            (429, "SlowDown"),
            (503, "SlowDown"),
        ] {
            assert_eq!(of(status, code), None, "{status} {code}");
        }
    }

    #[test]
    fn what_an_operator_must_change_is_said() {
        for (status, code, part) in [
            (404, "NoSuchBucket", "has no bucket `lake`: make it there"),
            (
                403,
                "InvalidAccessKeyId",
                "(403 InvalidAccessKeyId): correct AWS_ACCESS_KEY_ID",
            ),
            (403, "SignatureDoesNotMatch", "correct AWS_ACCESS_KEY_ID"),
            (400, "ExpiredToken", "takes the keys no longer"),
            (301, "PermanentRedirect", "correct the region"),
            (400, "AuthorizationHeaderMalformed", "correct the region"),
            (403, "RequestTimeTooSkewed", "correct the clock"),
            (403, "AccessDenied", "s3:PutObject"),
            (403, "", "(403): the keys need"),
            (
                405,
                "MethodNotAllowed",
                "refuses a request for the bucket `lake` (405 MethodNotAllowed)",
            ),
        ] {
            let what = of(status, code).unwrap();
            assert!(what.contains(part), "{what}");
        }
    }

    #[test]
    fn a_refusal_is_found_in_the_words_around_it_and_what_the_server_wrote_is_not() {
        let refusal = Refusal::new("http://127.0.0.1:5000", "does not know the keys");
        let around = HttpError::new(HttpErrorKind::Unknown, refusal.clone()).to_string();
        let around = format!("Generic S3 error: {around}\nbacktrace");
        assert_eq!(told(&around), Some(refusal.to_string()));
        assert_eq!(told("no such thing"), None);
        let body = "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>token</StringToSign></Error>";
        assert_eq!(code(body), Some("SignatureDoesNotMatch"));
        assert_eq!(code("<Code>a b</Code>"), None);
    }
}
