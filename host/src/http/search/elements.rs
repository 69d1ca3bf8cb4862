//! `_elements`: parts of a resource.

use bytes::Bytes;
use lakefeed_view::json::{top_level_members, with_members};

/// Says in `meta.tag` that a resource is not whole.
const SUBSETTED: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

/// A resource with these elements only, and the type, the id and the meta that every one has. It is tagged as not
/// whole, so that nobody puts it back.
pub(super) fn only(resource: &Bytes, names: &[String]) -> Bytes {
    let mut kept = Vec::with_capacity(resource.len());
    kept.push(b'{');
    for member in top_level_members(resource) {
        let key = member.key();
        // What belongs to a primitive element goes with it.
        let name = key.strip_prefix('_').unwrap_or(&key);
        let is_kept =
            matches!(name, "resourceType" | "id" | "meta") || names.iter().any(|wanted| wanted == name);
        if !is_kept {
            continue;
        }
        if kept.len() > 1 {
            kept.push(b',');
        }
        kept.push(b'"');
        kept.extend_from_slice(member.raw_key);
        kept.extend_from_slice(b"\":");
        match name {
            "meta" => kept.extend_from_slice(&tagged(member.value)),
            _ => kept.extend_from_slice(member.value),
        }
    }
    kept.push(b'}');
    kept.into()
}

fn tagged(meta: &[u8]) -> Vec<u8> {
    let tags = top_level_members(meta).find(|member| member.key() == "tag");
    let held = tags.and_then(|member| member.value.strip_prefix(b"[")?.strip_suffix(b"]"));
    let mut list = b"[".to_vec();
    if let Some(held) = held.filter(|held| !held.trim_ascii().is_empty()) {
        list.extend_from_slice(held);
        list.push(b',');
    }
    list.extend_from_slice(SUBSETTED.as_bytes());
    list.push(b']');
    with_members(meta, &[("tag", &list)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_asked_for_are_left_with_what_every_resource_has() {
        let check = |resource: &str, names: &[&str], expect: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let text = only(&Bytes::from(resource.to_owned()), &names);
            let expect = expect.replace("TAG", SUBSETTED);
            assert_eq!(std::str::from_utf8(&text).unwrap(), expect);
        };
        check(
            r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1"},"active":true,"birthDate":"2000","_birthDate":{"id":"x"}}"#,
            &["birthDate"],
            r#"{"resourceType":"Patient","id":"p","meta":{"tag":[TAG],"versionId":"1"},"birthDate":"2000","_birthDate":{"id":"x"}}"#,
        );
        check(
            r#"{"resourceType":"Patient","meta":{"tag":[{"code":"a"}]},"name":[1.00]}"#,
            &["name"],
            r#"{"resourceType":"Patient","meta":{"tag":[{"code":"a"},TAG]},"name":[1.00]}"#,
        );
        check(
            r#"{"resourceType":"Patient","meta":{"tag":[ ]}}"#,
            &["x"],
            r#"{"resourceType":"Patient","meta":{"tag":[TAG]}}"#,
        );
    }
}
