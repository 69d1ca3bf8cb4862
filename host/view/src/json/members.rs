//! The members of an object as text.

use std::borrow::Cow;
use std::ops::Range;

use super::strings::{plain_end, unescape_into};

/// One member of an object, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// What stands between the quotes of the key, escapes and all.
    pub raw_key: &'a [u8],
    /// The value, without the white space around it.
    pub value: &'a [u8],
    /// Where the key's opening quote stands in the text.
    pub offset: usize,
    /// Where the value begins in the text.
    pub value_offset: usize,
}

impl<'a> Member<'a> {
    /// The key without its escapes.
    pub fn key(&self) -> Cow<'a, str> {
        if !self.raw_key.contains(&b'\\')
            && let Ok(plain) = std::str::from_utf8(self.raw_key)
        {
            return Cow::Borrowed(plain);
        }
        let mut key = String::new();
        match unescape_into(self.raw_key, &mut key) {
            Ok(()) => Cow::Owned(key),
            Err(_) => String::from_utf8_lossy(self.raw_key),
        }
    }

    /// The value's text when it is a string without escapes.
    pub fn plain_string(&self) -> Option<&'a str> {
        let inside = self.value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if inside.contains(&b'\\') {
            None
        } else {
            std::str::from_utf8(inside).ok()
        }
    }

    /// Where the value stands in the text.
    pub fn value_range(&self) -> Range<usize> {
        self.value_offset..self.value_offset + self.value.len()
    }
}

/// The members of the object that `object` is the text of, in order.
///
/// The text should have passed [`check_resource`](super::check_resource); of one that would not, as many members are
/// given as can be told, and it ends there.
pub fn top_level_members(object: &[u8]) -> Members<'_> {
    let mut members = Members { bytes: object, at: 0 };
    members.space();
    if !members.eat(b'{') {
        members.at = object.len();
    }
    members
}

/// The iterator that [`top_level_members`] gives.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let member = self.member();
        if member.is_none() {
            self.at = self.bytes.len();
        }
        member
    }
}

impl std::iter::FusedIterator for Members<'_> {}

impl<'a> Members<'a> {
    fn member(&mut self) -> Option<Member<'a>> {
        self.space();
        let offset = self.at;
        let key_end = string_end(self.bytes, offset)?;
        self.at = key_end;
        self.space();
        if !self.eat(b':') {
            return None;
        }
        self.space();
        let value_offset = self.at;
        self.at = value_end(self.bytes, value_offset)?;
        let value = self.bytes.get(value_offset..self.at)?;
        self.space();
        // What follows the last member is the brace, which no key begins with.
        self.eat(b',');
        Some(Member {
            raw_key: self.bytes.get(offset + 1..key_end - 1)?,
            value,
            offset,
            value_offset,
        })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }
}

/// Where the string that begins with the quote at `at` ends, past its closing quote.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Where the value that begins at `at` ends: none when the text ends before, or nothing is there.
pub(crate) fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'{' | b'[' => container_end(bytes, at),
        _ => {
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
            let length = bytes.iter().skip(at).position(is_end).unwrap_or(bytes.len() - at);
            (length > 0).then_some(at + length)
        }
    }
}

fn container_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The object with these members set: in its place a member that it has already, after `resourceType` (or first,
/// where that is not the first member) one that it has not. All other members keep their text.
///
/// Keys and values are JSON text; a key is without quotes and needs no escapes. The object should have passed
/// [`check_resource`](super::check_resource).
pub fn with_members(object: &[u8], set: &[(&str, &[u8])]) -> Vec<u8> {
    let added: usize = set.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
    let mut out = Vec::with_capacity(object.len() + added);
    out.push(b'{');
    let has = |key: &str| top_level_members(object).any(|member| member.key() == key);
    let mut missing: Vec<_> = set.iter().filter(|(key, _)| !has(key)).collect();
    for member in top_level_members(object) {
        let key = member.key();
        if key != "resourceType" {
            missing
                .drain(..)
                .for_each(|(key, value)| push_member(&mut out, key.as_bytes(), value));
        }
        let replaced = set.iter().find(|(set, _)| *set == key).map(|(_, value)| *value);
        push_member(&mut out, member.raw_key, replaced.unwrap_or(member.value));
    }
    missing
        .drain(..)
        .for_each(|(key, value)| push_member(&mut out, key.as_bytes(), value));
    out.push(b'}');
    out
}

fn push_member(out: &mut Vec<u8>, raw_key: &[u8], value: &[u8]) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(raw_key);
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        let members = top_level_members(text.as_bytes());
        members
            .map(|member| format!("{}={}", member.key(), String::from_utf8_lossy(member.value)))
            .collect()
    }

    #[test]
    fn members_keep_their_text() {
        assert_eq!(
            listed(
                " { \"a\" : 1.50e1 ,\"b\":{\"x\":[1,\"}]\"]}, \"c\\u0064\":\"q\\\"\\\\\",\n\"e\":[ ] , \"f\":null}"
            ),
            [
                "a=1.50e1",
                "b={\"x\":[1,\"}]\"]}",
                "cd=\"q\\\"\\\\\"",
                "e=[ ]",
                "f=null"
            ]
        );
        assert!(listed("{}").is_empty());
    }

    #[test]
    fn offsets_point_into_the_text() {
        let text = br#"{ "id" : "x" }"#;
        let member = top_level_members(text).next().unwrap();
        assert_eq!((member.offset, member.value_range()), (2, 9..12));
        assert_eq!(&text[member.value_range()], member.value);
        assert_eq!(member.plain_string(), Some("x"));
    }

    #[test]
    fn a_broken_text_ends_the_list_and_nothing_else() {
        for text in [
            "",
            "[1]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":\"x",
            "{\"a\":{",
            "{\"a\":\"\\",
            "{a:1}",
        ] {
            assert!(listed(text).is_empty(), "{text}");
        }
        assert_eq!(listed("{\"a\":1,\"b\""), ["a=1"]);
    }

    #[test]
    fn members_are_set_in_place_or_after_the_type() {
        let set: &[(&str, &[u8])] = &[("id", b"\"new\""), ("meta", b"{}")];
        for (before, after) in [
            (
                r#"{"resourceType":"Patient"}"#,
                r#"{"resourceType":"Patient","id":"new","meta":{}}"#,
            ),
            (
                r#"{ "resourceType" : "Patient", "value" : 1.0, "id":"old" }"#,
                r#"{"resourceType":"Patient","meta":{},"value":1.0,"id":"new"}"#,
            ),
            (
                r#"{"x":[1, 2],"resourceType":"P"}"#,
                r#"{"id":"new","meta":{},"x":[1, 2],"resourceType":"P"}"#,
            ),
            (r#"{"\u0069d":1}"#, r#"{"meta":{},"\u0069d":"new"}"#),
            ("{}", r#"{"id":"new","meta":{}}"#),
        ] {
            assert_eq!(
                String::from_utf8(with_members(before.as_bytes(), set)).unwrap(),
                after
            );
        }
    }
}
