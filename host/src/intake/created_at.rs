//! The extension in which an answer says when a resource was first made.
//!
//! It is put into `meta.extension` of what is answered and is never stored; a client that sends back what it
//! read does not store it either, since [`strip`] takes it out on the way in.

use std::borrow::Cow;

use bytes::Bytes;
use lakefeed_view::json::top_level_members;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::Timestamp;

/// The extension's url.
pub const URL: &str = "https://aidbox.app/ex/createdAt";

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    extension: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Extension<'a> {
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
}

/// A resource's text without the extension; text that has none, or is no resource, is given back as it is.
pub fn strip(text: &[u8]) -> Cow<'_, [u8]> {
    match without(text) {
        Some(stripped) => Cow::Owned(stripped),
        None => Cow::Borrowed(text),
    }
}

/// A stored resource's text with the extension, as it is answered.
pub fn inject(text: &Bytes, created_at: Timestamp) -> Bytes {
    let extension = format!("{{\"url\":\"{URL}\",\"valueInstant\":\"{created_at}\"}}");
    match meta(text) {
        Some(meta) => with(text, meta, &extension),
        None => text.clone(),
    }
}

/// A resource's `meta`; what stands behind it is not looked at.
fn meta(text: &[u8]) -> Option<&RawValue> {
    let meta = top_level_members(text).find(|member| member.key() == "meta")?;
    let meta: &RawValue = serde_json::from_slice(meta.value).ok()?;
    meta.get().starts_with('{').then_some(meta)
}

fn extension(meta: &RawValue) -> Option<&RawValue> {
    let meta: Meta<'_> = serde_json::from_str(meta.get()).ok()?;
    meta.extension
        .filter(|extension| extension.get().starts_with('['))
}

fn with(text: &[u8], meta: &RawValue, extension_text: &str) -> Bytes {
    let (place, inserted) = match extension(meta) {
        Some(list) => {
            let is_empty = list.get()[1..].trim_start().starts_with(']');
            let comma = if is_empty { "" } else { "," };
            (offset(text, list) + 1, format!("{extension_text}{comma}"))
        }
        None => {
            let is_empty = meta.get()[1..].trim_start().starts_with('}');
            let comma = if is_empty { "" } else { "," };
            (
                offset(text, meta) + 1,
                format!("\"extension\":[{extension_text}]{comma}"),
            )
        }
    };
    let mut answer = Vec::with_capacity(text.len() + inserted.len());
    answer.extend_from_slice(&text[..place]);
    answer.extend_from_slice(inserted.as_bytes());
    answer.extend_from_slice(&text[place..]);
    answer.into()
}

fn without(text: &[u8]) -> Option<Vec<u8>> {
    let list = extension(meta(text)?)?;
    let all: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    let kept: Vec<&str> = all
        .iter()
        .filter(|item| !is_ours(item))
        .map(|item| item.get())
        .collect();
    if kept.len() == all.len() {
        return None;
    }
    let start = offset(text, list);
    let end = start + list.get().len();
    if kept.is_empty() {
        return without_member(text, meta(text)?);
    }
    let mut stripped = text[..start].to_vec();
    stripped.extend_from_slice(format!("[{}]", kept.join(",")).as_bytes());
    stripped.extend_from_slice(&text[end..]);
    Some(stripped)
}

/// The text with `meta` written anew but for its `extension`: an empty list would not be FHIR.
fn without_member(text: &[u8], meta: &RawValue) -> Option<Vec<u8>> {
    let mut members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(meta.get()).ok()?;
    members.shift_remove("extension");
    let start = offset(text, meta);
    let mut stripped = text[..start].to_vec();
    stripped.extend_from_slice(serde_json::to_string(&members).ok()?.as_bytes());
    stripped.extend_from_slice(&text[start + meta.get().len()..]);
    Some(stripped)
}

fn is_ours(item: &RawValue) -> bool {
    serde_json::from_str::<Extension<'_>>(item.get())
        .is_ok_and(|extension| extension.url.as_deref() == Some(URL))
}

/// Where a part borrowed from a text begins in it.
fn offset(text: &[u8], part: &RawValue) -> usize {
    part.get().as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injected(text: &str) -> String {
        let answer = inject(&Bytes::from(text.to_owned()), Timestamp(0));
        String::from_utf8(answer.to_vec()).unwrap()
    }

    const OURS: &str =
        r#"{"url":"https://aidbox.app/ex/createdAt","valueInstant":"1970-01-01T00:00:00.000000Z"}"#;

    #[test]
    fn an_answer_says_when_the_resource_was_made() {
        assert_eq!(
            injected(r#"{"resourceType":"Patient","meta":{"versionId":"7"},"active":true}"#),
            format!(
                r#"{{"resourceType":"Patient","meta":{{"extension":[{OURS}],"versionId":"7"}},"active":true}}"#
            )
        );
    }

    #[test]
    fn extensions_that_the_client_stored_stay_in_the_answer() {
        assert_eq!(
            injected(r#"{"meta":{"extension":[{"url":"x"}]}}"#),
            format!(r#"{{"meta":{{"extension":[{OURS},{{"url":"x"}}]}}}}"#)
        );
        assert_eq!(
            injected(r#"{"meta":{"extension":[ ]}}"#),
            format!(r#"{{"meta":{{"extension":[{OURS} ]}}}}"#)
        );
    }

    #[test]
    fn what_was_read_and_sent_back_is_stored_without_the_extension() {
        for stored in [
            r#"{"resourceType":"Patient","meta":{"versionId":"7"},"a":1.00}"#,
            r#"{"resourceType":"Patient","meta":{"extension":[{"url":"x","valueDecimal":1.00}]}}"#,
        ] {
            assert_eq!(strip(injected(stored).as_bytes()), stored.as_bytes());
        }
    }

    #[test]
    fn a_text_that_only_mentions_the_url_is_left_as_it_is() {
        let text = format!(r#"{{"a":"{URL}","meta":{{"extension":[{{"url":"x"}}]}}}}"#);
        assert!(matches!(strip(text.as_bytes()), Cow::Borrowed(_)));
        assert!(matches!(strip(b"not json"), Cow::Borrowed(_)));
    }
}
