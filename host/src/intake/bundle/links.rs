//! The places of a resource's text where another resource is named, and the text with other names there.
//!
//! A place is `Reference.reference`, and every element of type `uri`, `url`, `oid` or `uuid`; which those are is
//! FHIR R4's table's to say. In a type that the table does not know, only members called `reference` are looked at.
//! Only the named strings are replaced; every other byte stays.

use std::borrow::Cow;
use std::fmt;

use lakefeed_view::r4::{self, Element, Lookup, TypeInfo};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A place where something is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where the string stands in the text, with its quotes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Whether it is a reference; else it is an address, which is replaced only as a whole.
    pub is_reference: bool,
    /// What it says.
    pub value: String,
    /// Where it is below the resource: `subject.reference`.
    pub path: String,
}

/// All links of a resource that `is_wanted` says yes to, in the order of the text, which must be checked JSON.
pub fn find(text: &str, is_wanted: &dyn Fn(&str, bool) -> bool) -> Vec<Link> {
    let mut search = Search {
        text,
        is_wanted,
        path: Vec::new(),
        found: Vec::new(),
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let root = Walk {
        search: &mut search,
        inside: Inside::Open,
    };
    // What was checked is read to its end; were it not, what was found so far would still be right.
    root.deserialize(&mut reader).ok();
    search.found
}

/// The text with other values at some links, which are in its order.
pub fn replace(text: &str, replacements: &[(&Link, String)]) -> String {
    let added: usize = replacements.iter().map(|(_, value)| value.len()).sum();
    let mut answer = String::with_capacity(text.len() + added);
    let mut done = 0;
    for (link, value) in replacements {
        answer.push_str(&text[done..link.start]);
        // A string always has a JSON form.
        answer.push_str(&serde_json::to_string(value).unwrap_or_default());
        done = link.end;
    }
    answer.push_str(&text[done..]);
    answer
}

struct Search<'t, 'w> {
    text: &'t str,
    is_wanted: &'w dyn Fn(&str, bool) -> bool,
    path: Vec<Step>,
    found: Vec<Link>,
}

enum Step {
    Name(String),
    Index(usize),
}

impl Search<'_, '_> {
    fn take(&mut self, raw: &RawValue, is_reference: bool) {
        let Ok(value) = serde_json::from_str::<Cow<'_, str>>(raw.get()) else {
            return;
        };
        if (self.is_wanted)(&value, is_reference) {
            let start = raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
            self.found.push(Link {
                start,
                end: start + raw.get().len(),
                is_reference,
                value: value.into_owned(),
                path: self.path(),
            });
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Name(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

/// What is known of a value before it is read.
#[derive(Clone, Copy)]
enum Inside {
    /// An object of this type.
    Type(&'static TypeInfo),
    /// A resource of any type, or an object that nothing is known of.
    Open,
    /// A string that is an address.
    Address,
    /// The string of a reference.
    Reference,
    /// A value without links.
    Nothing,
}

impl Inside {
    fn member(self, name: &str) -> Self {
        match self {
            Self::Type(info) if info.name() == "Reference" && name == "reference" => Self::Reference,
            Self::Type(info) => match info.lookup(name) {
                Lookup::Element(element) => of_element(element),
                Lookup::ChoiceKey { element_type, .. } => Self::of(element_type.type_info()),
                // `_birthDate` and the like have extensions.
                Lookup::Unknown if name.starts_with('_') => {
                    r4::type_named("Element").map_or(Self::Open, Self::Type)
                }
                Lookup::Unknown => Self::Open,
            },
            Self::Open if name == "reference" => Self::Reference,
            Self::Open => Self::Open,
            Self::Address | Self::Reference | Self::Nothing => Self::Nothing,
        }
    }

    fn of(info: &'static TypeInfo) -> Self {
        match info.name() {
            "uri" | "url" | "oid" | "uuid" => Self::Address,
            _ if info.is_primitive() || info.name() == "Narrative" => Self::Nothing,
            _ if info.is_open() => Self::Open,
            _ => Self::Type(info),
        }
    }
}

fn of_element(element: &'static Element) -> Inside {
    match element.only_type() {
        Some(info) => Inside::of(info),
        None => Inside::Open,
    }
}

struct Walk<'s, 't, 'w> {
    search: &'s mut Search<'t, 'w>,
    inside: Inside,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.inside {
            Inside::Nothing => serde::Deserialize::deserialize(deserializer).map(|IgnoredAny| ()),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut inside = self.inside;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == "resourceType" {
                let named = map.next_value::<Cow<'de, str>>()?;
                if let (Inside::Open, Some(info)) = (inside, r4::type_named(&named)) {
                    inside = Inside::Type(info);
                }
                continue;
            }
            let search = &mut *self.search;
            let member = inside.member(&name);
            search.path.push(Step::Name(name.into_owned()));
            read(search, member, &mut map)?;
            search.path.pop();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            self.search.path.push(Step::Index(index));
            let read = match self.inside {
                Inside::Address | Inside::Reference => list.next_element::<&'de RawValue>()?.map(|raw| {
                    self.search.take(raw, matches!(self.inside, Inside::Reference));
                }),
                inside => list.next_element_seed(Walk {
                    search: &mut *self.search,
                    inside,
                })?,
            };
            self.search.path.pop();
            if read.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a member's value. A string that may be a link is read as text, which keeps its place; a list of such is
/// walked.
fn read<'de, A: MapAccess<'de>>(
    search: &mut Search<'_, '_>,
    inside: Inside,
    map: &mut A,
) -> Result<(), A::Error> {
    if !matches!(inside, Inside::Address | Inside::Reference) {
        return map.next_value_seed(Walk { search, inside });
    }
    let raw = map.next_value::<&'de RawValue>()?;
    match raw.get().as_bytes().first() {
        Some(b'[') => {
            let mut reader = serde_json::Deserializer::from_str(raw.get());
            Walk { search, inside }
                .deserialize(&mut reader)
                .map_err(serde::de::Error::custom)
        }
        Some(b'{') => {
            let mut reader = serde_json::Deserializer::from_str(raw.get());
            let open = Walk {
                search,
                inside: Inside::Open,
            };
            open.deserialize(&mut reader).map_err(serde::de::Error::custom)
        }
        _ => {
            search.take(raw, matches!(inside, Inside::Reference));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource: &str, expect: &[&str]) {
        let found: Vec<String> = find(resource, &|_, _| true)
            .iter()
            .map(|link| {
                let kind = if link.is_reference { "reference" } else { "address" };
                assert_eq!(
                    serde_json::from_str::<String>(&resource[link.start..link.end]).unwrap(),
                    link.value
                );
                format!("{kind} {} {}", link.path, link.value)
            })
            .collect();
        assert_eq!(found, expect, "{resource}");
    }

    #[test]
    fn references_and_addresses_are_links_and_plain_text_is_not() {
        check(
            r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:1","display":"urn:uuid:1"},
                "performer":[{"reference":"a"},{"reference":"b"}],
                "identifier":[{"system":"urn:s","value":"urn:uuid:1"}],"valueString":"urn:uuid:1"}"#,
            &[
                "reference subject.reference urn:uuid:1",
                "reference performer[0].reference a",
                "reference performer[1].reference b",
                "address identifier[0].system urn:s",
            ],
        );
    }

    #[test]
    fn links_are_found_in_extensions_contained_resources_and_backbones() {
        check(
            r#"{"resourceType":"Patient","contained":[{"resourceType":"Encounter","subject":{"reference":"c"}}],
                "_birthDate":{"extension":[{"url":"u","valueReference":{"reference":"d"}}]},
                "link":[{"other":{"reference":"e"},"type":"refer"}],
                "extension":[{"url":"x","valueUri":"f"},{"url":"y","valueCanonical":"g"}]}"#,
            &[
                "reference contained[0].subject.reference c",
                "address _birthDate.extension[0].url u",
                "reference _birthDate.extension[0].valueReference.reference d",
                "reference link[0].other.reference e",
                "address extension[0].url x",
                "address extension[0].valueUri f",
                "address extension[1].url y",
            ],
        );
    }

    #[test]
    fn of_an_unknown_type_only_references_are_looked_at() {
        check(
            r#"{"resourceType":"ViewDefinition","url":"u","a":[{"reference":"r"}]}"#,
            &["reference a[0].reference r"],
        );
    }

    #[test]
    fn only_the_named_string_is_replaced() {
        let text = r#"{"resourceType":"Observation","valueQuantity":{"value":1.00},"subject":{"reference":"urn:uuid:\u0031"} }"#;
        let found = find(text, &|_, is_reference| is_reference);
        let replaced = replace(text, &[(&found[0], "Patient/\"x".to_owned())]);
        assert_eq!(
            replaced,
            r#"{"resourceType":"Observation","valueQuantity":{"value":1.00},"subject":{"reference":"Patient/\"x"} }"#
        );
    }
}
