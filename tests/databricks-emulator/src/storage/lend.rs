//! Credentials that are lent: the server's own STS makes them, as the cloud's does for the real service.

use axum::http::{HeaderValue, Method, header};
use chrono::DateTime;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use serde_json::{Value, json};

use super::StorageError;
use super::place::Prefix;
use super::refusal::{Refusal, code, element};
use super::s3::Server;
use crate::catalog::CredentialEntry;

/// How long they are good for.
const SECONDS: &str = "3600";

/// Keys that expire.
pub(crate) struct Lent {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
    /// In milliseconds since 1970.
    pub(crate) expires_at: i64,
}

impl Server {
    /// Takes on the role of a storage credential, for what lies below a prefix and nothing else.
    pub(super) async fn lend(
        &self,
        credential: &CredentialEntry,
        prefix: &Prefix,
        writes: bool,
    ) -> Result<Lent, StorageError> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRole")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", &credential.role_arn)
            .append_pair("RoleSessionName", "unity-catalog")
            .append_pair("ExternalId", &credential.external_id)
            .append_pair("DurationSeconds", SECONDS)
            .append_pair(
                "Policy",
                &policy(&prefix.bucket, prefix.path.as_ref(), writes).to_string(),
            )
            .finish();
        let (status, body) = self.ask(form).await?;
        lent(status, &body).ok_or_else(|| {
            let shown = code(&body).map_or_else(|| status.to_string(), |code| format!("{status} {code}"));
            let what = format!(
                "lends nothing for the role {} of the storage credential `{}` ({shown}): it must have STS AssumeRole at the \
                 same address, that role, and a right to take it on for the keys that the emulator was started with",
                credential.role_arn, credential.name
            );
            StorageError::Server(Refusal::new(self.address(), what).to_string())
        })
    }

    /// Sends a form to STS.
    async fn ask(&self, form: String) -> Result<(u16, String), StorageError> {
        let mut request = HttpRequest::new(HttpRequestBody::from(form));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self
            .endpoint
            .as_str()
            .parse()
            .map_err(|_| StorageError::Location)?;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let keys = self.keys.get_credential().await?;
        AwsAuthorizer::new(&keys, "sts", &self.region).authorize(&mut request, None);
        let silent = || StorageError::Server(Refusal::silent(self.address()).to_string());
        let response = self.client.execute(request).await.map_err(|_| silent())?;
        let status = response.status().as_u16();
        let body = response.into_body().bytes().await.map_err(|_| silent())?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// What STS answered; none if it refused.
fn lent(status: u16, body: &str) -> Option<Lent> {
    let text = |name: &str| element(body, name).map(|text| text.trim().to_owned());
    let expires = DateTime::parse_from_rfc3339(&text("Expiration")?).ok()?;
    (status == 200).then_some(Lent {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: text("SecretAccessKey")?,
        session_token: text("SessionToken")?,
        expires_at: expires.timestamp_millis(),
    })
}

/// What the keys may do: less than the role, never more.
fn policy(bucket: &str, path: &str, writes: bool) -> Value {
    let mut actions = vec!["s3:GetObject"];
    if writes {
        actions.extend([
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ]);
    }
    let (objects, prefixes) = if path.is_empty() {
        ("*".to_owned(), vec!["*".to_owned()])
    } else {
        (format!("{path}/*"), vec![path.to_owned(), format!("{path}/*")])
    };
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": format!("arn:aws:s3:::{bucket}/{objects}")},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": format!("arn:aws:s3:::{bucket}"),
             "Condition": {"StringLike": {"s3:prefix": prefixes}}},
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": format!("arn:aws:s3:::{bucket}")},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_open_what_lies_below_the_location_and_write_only_if_asked_to() {
        let reads = policy("lake", "staging/x", false);
        assert_eq!(reads["Statement"][0]["Action"], json!(["s3:GetObject"]));
        assert_eq!(reads["Statement"][0]["Resource"], "arn:aws:s3:::lake/staging/x/*");
        let prefixes = &reads["Statement"][1]["Condition"]["StringLike"]["s3:prefix"];
        assert_eq!(*prefixes, json!(["staging/x", "staging/x/*"]));
        let writes = policy("lake", "staging/x", true);
        assert!(
            writes["Statement"][0]["Action"]
                .to_string()
                .contains("s3:PutObject")
        );
    }

    #[test]
    fn only_a_whole_answer_lends() {
        let body = "<AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>k/+=</SecretAccessKey>\
                    <SessionToken>t</SessionToken><Expiration>2026-04-01T10:00:00.123Z</Expiration></Credentials></AssumeRoleResult>";
        let keys = lent(200, body).unwrap();
        assert_eq!(
            (
                keys.access_key_id.as_str(),
                keys.secret_access_key.as_str(),
                keys.session_token.as_str()
            ),
            ("ASIA1", "k/+=", "t")
        );
        assert_eq!(keys.expires_at, 1_775_037_600_123);
        assert!(lent(403, body).is_none());
        assert!(lent(200, &body.replace("SessionToken", "Other")).is_none());
    }
}
