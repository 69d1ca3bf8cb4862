//! Bundles: what a client asks for in one request, entry by entry.
//!
//! - [`parse`] takes a Bundle's text apart without copying the resources in it.
//! - [`request`] reads what an entry asks for.
//! - [`links`] finds the references and addresses in a resource that a transaction may have to write anew.
//! - [`transaction`] decides what the entries of a transaction write together.
//! - [`lanes`] says which entries of a batch may be worked on side by side.
//!
//! Links in a narrative (`<a href>`, `<img src>`) and canonical URLs are left as they are.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lakefeed_view::json;
use serde::Deserialize;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::change::Body;

pub mod lanes;
pub mod links;
mod refusal;
pub mod request;
pub mod transaction;

pub use refusal::{At, BundleRefusal};

/// How much deeper than a resource alone a Bundle's text may nest.
const DEPTH_AROUND: usize = 4;

/// A Bundle taken apart.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is to be done with it.
    pub kind: Kind,
    /// Its entries, in the order of the text.
    pub entries: Vec<Entry>,
}

/// A Bundle's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All entries or none.
    Transaction,
    /// Each entry for itself.
    Batch,
    /// Resources to be put under their ids.
    Collection,
    /// What happened on a server, or a notification of it.
    History,
    /// A notification.
    SubscriptionNotification,
    /// Something that asks for nothing: `searchset`, `document`, `message`, an answer.
    Other,
}

/// One entry.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What other entries call its resource.
    pub full_url: Option<String>,
    /// Its resource, to the byte.
    pub resource: Option<Bytes>,
    /// What is asked for.
    pub request: Option<Request>,
}

/// What an entry asks for, as its author wrote it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The address, relative to the server's or whole.
    pub url: String,
    /// As the header.
    pub if_match: Option<String>,
    /// As the header.
    pub if_none_match: Option<String>,
    /// As the header.
    pub if_modified_since: Option<String>,
    /// As the header.
    pub if_none_exist: Option<String>,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, rename = "resourceType")]
    resource_type: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry<'a> {
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    request: Option<Request>,
}

/// Takes a Bundle apart; its text is checked by the strict JSON grammar first, its resources by nothing else.
pub fn parse(text: &Bytes, max_entries: usize) -> Result<Bundle, At> {
    let (kind, raw) = split(text, max_entries)?;
    let entries: Result<Vec<Entry>, At> = raw
        .into_iter()
        .enumerate()
        .map(|(index, raw)| entry(text, index, raw))
        .collect();
    Ok(Bundle {
        kind,
        entries: entries?,
    })
}

/// A Bundle's type and the texts of its entries, which are parts of its own.
pub(in crate::intake) fn split(text: &[u8], max_entries: usize) -> Result<(Kind, Vec<&RawValue>), At> {
    let limits = json::Limits::default();
    let limits = json::Limits {
        max_depth: limits.max_depth + DEPTH_AROUND,
    };
    json::check_resource(text, limits).map_err(|error| At::bundle(BundleRefusal::Json(error)))?;
    let written: Written<'_> =
        serde_json::from_slice(text).map_err(|_| At::bundle(BundleRefusal::NotABundle))?;
    if written.resource_type.as_deref() != Some("Bundle") {
        return Err(At::bundle(BundleRefusal::NotABundle));
    }
    let kind = Kind::of(written.kind.as_deref().unwrap_or_default());
    let entries = match written.entry {
        Some(list) => texts(list, max_entries)?,
        None => Vec::new(),
    };
    Ok((kind, entries))
}

fn entry(text: &Bytes, index: usize, raw: &RawValue) -> Result<Entry, At> {
    let written: WrittenEntry<'_> =
        serde_json::from_str(raw.get()).map_err(|_| At::entry(index, "", BundleRefusal::Structure))?;
    Ok(Entry {
        full_url: written.full_url,
        resource: written
            .resource
            .filter(|resource| resource.get() != "null")
            .map(|resource| text.slice_ref(resource.get().as_bytes())),
        request: written.request,
    })
}

/// The items of a list as texts, at most so many.
fn texts(list: &RawValue, max_entries: usize) -> Result<Vec<&RawValue>, At> {
    let mut reader = serde_json::Deserializer::from_str(list.get());
    let read = serde::Deserializer::deserialize_seq(&mut reader, Bounded { max: max_entries });
    match read {
        Ok(Some(entries)) => Ok(entries),
        Ok(None) => Err(At::bundle(BundleRefusal::TooManyEntries { limit: max_entries })),
        Err(_) => Err(At::bundle(BundleRefusal::NotABundle)),
    }
}

/// Collects texts up to a bound; none beyond it.
struct Bounded {
    max: usize,
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element::<&'de RawValue>()? {
            // What is beyond the bound is still read to its end, which keeps nothing.
            if texts.len() <= self.max {
                texts.push(text);
            }
        }
        Ok((texts.len() <= self.max).then_some(texts))
    }
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "transaction" => Self::Transaction,
            "batch" => Self::Batch,
            "collection" => Self::Collection,
            "history" => Self::History,
            "subscription-notification" => Self::SubscriptionNotification,
            _ => Self::Other,
        }
    }
}

/// An entry of a `collection` as a request: its resource is put under its own id. What lacks either is refused when
/// it is done.
pub fn put_of(entry: Entry) -> Entry {
    let body = entry.resource.as_deref().and_then(|text| Body::parse(text).ok());
    let url = body.and_then(|body| Some(format!("{}/{}", body.resource_type(), body.id()?)));
    Entry {
        request: Some(Request {
            method: "PUT".to_owned(),
            url: url.unwrap_or_default(),
            ..Request::default()
        }),
        ..entry
    }
}

/// The patch that an entry carries, as a request's body with its media type: what a Binary holds, or the resource as
/// it is, whose form tells which kind of patch it is. None for a Binary that holds nothing readable.
pub fn patch_of(resource: &Bytes) -> Option<(String, Bytes)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Binary {
        resource_type: Option<String>,
        content_type: Option<String>,
        data: Option<String>,
    }
    match serde_json::from_slice::<Binary>(resource) {
        Ok(binary) if binary.resource_type.as_deref() == Some("Binary") => {
            let data = STANDARD.decode(binary.data?).ok()?;
            Some((binary.content_type?, data.into()))
        }
        _ => Some(("application/json".to_owned(), resource.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let answer = match parse(&Bytes::from(text.to_owned()), 2) {
            Ok(bundle) => format!("{:?} {}", bundle.kind, bundle.entries.len()),
            Err(at) => format!("{} {}", at.expression(), at.refusal.code()),
        };
        assert_eq!(answer, expect, "{text}");
    }

    #[test]
    fn a_bundle_is_taken_apart_or_refused_with_the_place() {
        check(r#"{"resourceType":"Bundle","type":"batch"}"#, "Batch 0");
        check(
            r#"{"resourceType":"Bundle","type":"transaction","entry":[{},{}]}"#,
            "Transaction 2",
        );
        check(r#"{"resourceType":"Patient"}"#, "Bundle INTAKE-031");
        check(
            r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#,
            "Bundle INTAKE-031",
        );
        check(
            r#"{"resourceType":"Bundle","type":"batch","entry":[{},{},{}]}"#,
            "Bundle INTAKE-032",
        );
        check(
            r#"{"resourceType":"Bundle","type":"batch","entry":[{},{"request":"GET"}]}"#,
            "Bundle.entry[1] INTAKE-033",
        );
        check(
            r#"{"resourceType":"Bundle","entry":[{"resource":{"a":1,"a":2}}]}"#,
            "Bundle.entry[0].resource.a INTAKE-030",
        );
    }

    #[test]
    fn a_resource_is_the_bundles_own_text() {
        let text = Bytes::from_static(
            br#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"a": 1.00}}]}"#,
        );
        let bundle = parse(&text, 1).unwrap();
        assert_eq!(bundle.entries[0].resource.as_deref(), Some(&b"{\"a\": 1.00}"[..]));
    }
}
