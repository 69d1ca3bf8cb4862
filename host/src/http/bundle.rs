//! Bundles of stored resources, whose texts go into the answer as they are.

use bytes::Bytes;
use serde_json::{Value, json};

/// One entry.
pub(super) struct Entry {
    /// Where the resource is.
    pub(super) full_url: String,
    /// The resource's text.
    pub(super) resource: Bytes,
    /// The entry's other members, an object.
    pub(super) rest: Value,
}

/// A Bundle's text; without a total where it is not known.
pub(super) fn bundle(kind: &str, total: Option<u64>, links: &[(&str, String)], entries: &[Entry]) -> Bytes {
    let links: Vec<Value> = links
        .iter()
        .map(|(relation, url)| json!({"relation": relation, "url": url}))
        .collect();
    let mut head = json!({"resourceType": "Bundle", "type": kind});
    if let Some(total) = total {
        head["total"] = total.into();
    }
    head["link"] = links.into();
    let size: usize = entries.iter().map(|entry| entry.resource.len() + 400).sum();
    let mut text = Vec::with_capacity(size + 400);
    push_object(&mut text, &head);
    if !entries.is_empty() {
        text.extend_from_slice(b",\"entry\":[");
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            push_entry(&mut text, entry);
        }
        text.push(b']');
    }
    text.push(b'}');
    text.into()
}

fn push_entry(text: &mut Vec<u8>, entry: &Entry) {
    push_object(text, &json!({"fullUrl": entry.full_url}));
    text.extend_from_slice(b",\"resource\":");
    text.extend_from_slice(&entry.resource);
    let rest = entry.rest.to_string();
    text.push(b',');
    text.extend_from_slice(&rest.as_bytes()[1..]);
}

/// An object's text without its last brace.
fn push_object(text: &mut Vec<u8>, object: &Value) {
    let object = object.to_string();
    text.extend_from_slice(object.strip_suffix('}').unwrap_or(&object).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_in_the_bundle_to_the_byte() {
        let entry = Entry {
            full_url: "u".to_owned(),
            resource: Bytes::from_static(b"{\"a\": 1.00}"),
            rest: json!({"search": {"mode": "match"}}),
        };
        let text = bundle("searchset", Some(1), &[("self", "s".to_owned())], &[entry]);
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            concat!(
                r#"{"resourceType":"Bundle","type":"searchset","total":1,"link":[{"relation":"self","url":"s"}],"#,
                r#""entry":[{"fullUrl":"u","resource":{"a": 1.00},"search":{"mode":"match"}}]}"#
            )
        );
    }

    #[test]
    fn a_bundle_without_entries_has_no_empty_list() {
        let text = bundle("history", None, &[], &[]);
        assert_eq!(
            std::str::from_utf8(&text).unwrap(),
            r#"{"resourceType":"Bundle","type":"history","link":[]}"#
        );
    }
}
