//! The way through a resource that finds every place that is wrong. The text has passed the grammar's check.

use std::borrow::Cow;

use super::form::{Primitive, Written, is_integer};
use super::shape::{KeyWords, Member, Shape, Shapes, Value, shapes};
use super::{Fault, Issue, MAX_ISSUES, remedy, resource_type};
use crate::json::{shown_key, unescape_into, value_end};

/// What is wrong with a resource of this shape, in the order of the text, at most [`MAX_ISSUES`].
pub(super) fn issues(text: &[u8], shape: &'static Shape, foreign: &[&str]) -> Vec<Issue> {
    let mut walk = Walk {
        text,
        at: 0,
        path: shape.info.name().to_owned(),
        issues: Vec::new(),
        shapes: shapes(),
        foreign,
    };
    walk.space();
    walk.object(shape);
    walk.issues
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// Of the value that is read.
    path: String,
    issues: Vec<Issue>,
    shapes: &'static Shapes,
    foreign: &'a [&'a str],
}

/// A member that an object has.
struct Seen {
    member: &'static Member,
    /// How many values its array has, where it is one.
    length: usize,
    /// Where in the array nulls stand, in order.
    nulls: Vec<usize>,
}

impl Seen {
    /// Whether the two hold the values of one element and what hangs on them.
    fn is_beside(&self, other: &Seen) -> bool {
        self.member.place == other.member.place && self.member.is_shadow != other.member.is_shadow
    }
}

impl<'a> Walk<'a> {
    fn object(&mut self, shape: &'static Shape) {
        self.step();
        if self.eat(b'}') {
            self.fail(Fault::Empty {
                found: "an empty object",
            });
            return;
        }
        let mut seen = Vec::new();
        loop {
            self.member(shape, &mut seen);
            if self.is_full() {
                return;
            }
            if !self.goes_on() {
                break;
            }
        }
        self.nulls(&seen);
        self.missing(shape, &seen);
    }

    /// Reads one member with its key.
    fn member(&mut self, shape: &'static Shape, seen: &mut Vec<Seen>) {
        let key = unescaped(self.string());
        self.space();
        self.step();
        let Some(member) = shape.member(KeyWords::of(key.as_bytes()), key.as_bytes()) else {
            let fault = Fault::UnknownElement {
                owner: shape.info.name(),
                remedy: remedy::of_element(shape.info, &key),
            };
            return self.below(&format!(".{}", shown_key(key.as_bytes())), |walk| {
                walk.fail(fault);
                walk.skip();
            });
        };
        if let Some(element) = shape.element(member.place)
            && is_second_type(member, seen)
        {
            self.below(&format!(".{}", element.name()), |walk| walk.fail(Fault::TwoTypes));
        }
        let (mut length, mut nulls) = (0, Vec::new());
        self.below(&format!(".{}", member.path), |walk| {
            if member.is_many {
                length = walk.array(member, &mut nulls);
            } else {
                walk.single(member);
            }
        });
        seen.push(Seen {
            member,
            length,
            nulls,
        });
    }

    fn single(&mut self, member: &'static Member) {
        match self.peek() {
            b'[' => {
                self.fail(Fault::Array);
                self.skip();
            }
            b'n' => {
                self.fail(Fault::Null);
                self.skip();
            }
            _ => self.value(member.value),
        }
    }

    /// Reads an array: how many values it has, and where nulls stand in it.
    fn array(&mut self, member: &'static Member, nulls: &mut Vec<usize>) -> usize {
        if self.peek() != b'[' {
            self.fail(Fault::NoArray);
            self.skip();
            return 1;
        }
        self.step();
        if self.eat(b']') {
            self.fail(Fault::Empty {
                found: "an empty array",
            });
            return 0;
        }
        let may_be_null = member.is_shadow || matches!(member.value, Value::Primitive(_));
        let mut index = 0;
        loop {
            if may_be_null && self.peek() == b'n' {
                nulls.push(index);
                self.skip();
            } else {
                self.below(&format!("[{index}]"), |walk| walk.single(member));
            }
            index += 1;
            if self.is_full() || !self.goes_on() {
                return index;
            }
        }
    }

    fn value(&mut self, value: Value) {
        let is_object = self.peek() == b'{';
        match value {
            Value::Primitive(primitive) => self.primitive(primitive),
            Value::Object(id) if is_object => self.object(self.shapes.get(id)),
            Value::Object(id) => self.other_sort(self.shapes.get(id).info.name()),
            Value::Resource if is_object => self.resource(),
            Value::Resource => self.other_sort("Resource"),
            Value::ResourceType => self.skip(),
        }
    }

    fn resource(&mut self) {
        let name = resource_type(self.text.get(self.at..).unwrap_or_default());
        let fault = match name.map(|name| (self.shapes.resource(&name), name)) {
            Some((Some(shape), _)) => return self.object(shape),
            Some((None, name)) if self.foreign.contains(&&*name) => return self.skip(),
            Some((None, name)) => Fault::UnknownType {
                remedy: remedy::of_type(&name),
            },
            None => Fault::NoResourceType,
        };
        self.fail(fault);
        self.skip();
    }

    fn primitive(&mut self, primitive: Primitive) {
        let first = self.at;
        self.skip();
        let written = self.text.get(first..self.at).unwrap_or_default();
        let (wanted, how) = (primitive.name(), primitive.how());
        let sort_is_right = match primitive.written() {
            Written::Text | Written::Formed => written.starts_with(b"\""),
            Written::Boolean => written.starts_with(b"t") || written.starts_with(b"f"),
            Written::Decimal | Written::Integer(_) => written
                .first()
                .is_some_and(|byte| matches!(byte, b'-' | b'0'..=b'9')),
        };
        if !sort_is_right {
            let found = sort_of(written);
            return self.fail(Fault::Sort { found, wanted, how });
        }
        if written == b"\"\"" {
            let found = "an empty string";
            return self.fail(Fault::Empty { found });
        }
        let has_form = match primitive.written() {
            Written::Integer(least) => is_integer(written, least),
            Written::Boolean | Written::Decimal => true,
            Written::Text | Written::Formed => primitive.fits(unescaped(inside(written)).as_bytes()),
        };
        if !has_form {
            self.fail(Fault::Form { wanted, how });
        }
    }

    fn other_sort(&mut self, wanted: &'static str) {
        let found = sort_of(self.text.get(self.at..).unwrap_or_default());
        let how = "write an object";
        self.fail(Fault::Sort { found, wanted, how });
        self.skip();
    }

    /// Nulls must have something at their place in the array beside.
    fn nulls(&mut self, seen: &[Seen]) {
        for one in seen.iter().filter(|one| !one.nulls.is_empty()) {
            let beside = seen.iter().find(|other| other.is_beside(one));
            for null in &one.nulls {
                let is_null_too = beside.is_some_and(|beside| beside.nulls.binary_search(null).is_ok());
                let is_filled = !is_null_too && beside.is_some_and(|beside| *null < beside.length);
                // Two nulls at one place are reported once.
                let is_reported = is_null_too && one.member.is_shadow;
                if !is_filled && !is_reported {
                    self.below(&format!(".{}[{null}]", one.member.path), |walk| {
                        walk.fail(Fault::Null)
                    });
                }
                if self.is_full() {
                    return;
                }
            }
        }
    }

    fn missing(&mut self, shape: &'static Shape, seen: &[Seen]) {
        let there = seen.iter().fold(0, |bits, seen| bits | seen.member.bit());
        for (place, element) in shape.info.elements().iter().enumerate() {
            if shape.required & !there & 1 << place != 0 {
                self.below(&format!(".{}", element.name()), |walk| walk.fail(Fault::Missing));
            }
        }
    }

    /// Does something with the path that much longer.
    fn below(&mut self, step: &str, act: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(step);
        act(self);
        self.path.truncate(length);
    }

    fn fail(&mut self, fault: Fault) {
        if !self.is_full() {
            self.issues.push(Issue {
                fault,
                expression: self.path.clone(),
            });
        }
    }

    fn is_full(&self) -> bool {
        self.issues.len() >= MAX_ISSUES
    }

    /// Passes a value.
    fn skip(&mut self) {
        self.at = value_end(self.text, self.at).unwrap_or(self.text.len());
    }

    /// The inside of the string that begins here; passes it.
    fn string(&mut self) -> &'a [u8] {
        let first = self.at;
        self.skip();
        inside(self.text.get(first..self.at).unwrap_or_default())
    }

    /// Passes the comma to the next value, or the end of the object or array: then false.
    fn goes_on(&mut self) -> bool {
        self.space();
        let goes_on = self.peek() == b',';
        self.step();
        goes_on
    }

    fn step(&mut self) {
        self.at += 1;
        self.space();
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == byte;
        self.at += usize::from(is_there);
        is_there
    }

    /// The byte here; at the end of the text one that begins and ends nothing.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }
}

/// Whether the object has another type of the same choice already.
fn is_second_type(member: &Member, seen: &[Seen]) -> bool {
    let plain = |member: &Member| member.key.trim_start_matches('_').to_owned();
    member.is_choice
        && seen
            .iter()
            .any(|other| other.member.place == member.place && plain(other.member) != plain(member))
}

/// What stands between the quotes.
fn inside(string: &[u8]) -> &[u8] {
    string.get(1..string.len().saturating_sub(1)).unwrap_or_default()
}

fn unescaped(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(plain) if !raw.contains(&b'\\') => Cow::Borrowed(plain),
        _ => {
            let mut text = String::with_capacity(raw.len());
            match unescape_into(raw, &mut text) {
                Ok(()) => Cow::Owned(text),
                // The grammar's check has read these escapes, so this is not reached.
                Err(_) => String::from_utf8_lossy(raw),
            }
        }
    }
}

/// What sort of JSON a value is.
fn sort_of(value: &[u8]) -> &'static str {
    match value.first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
