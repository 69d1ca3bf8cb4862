//! Keys of references, and boundaries.

use super::compare::{decimal, moment, time};
use super::{Evaluator, Scalar, Scope};
use crate::boundary::Bound;
use crate::cell::TextRef;
use crate::error::RowError;
use crate::program::{Expr, Item, TextKind};
use crate::r4;
use crate::tape::NodeType;
use crate::temporal::Date;
use crate::trie::FieldId;

impl Evaluator<'_> {
    /// Replaces references by the ids that they hold; those of another type, or without an id, by nothing.
    pub(super) fn reference_keys(&mut self, base: usize, reference: FieldId, wanted: Option<&str>) {
        let end = self.memory.stack.len();
        let mut kept = base;
        for position in base..end {
            let Item::Node(at) = self.memory.stack[position] else {
                continue;
            };
            if let Some(key) = self.reference_key(at, reference, wanted) {
                self.memory.stack[kept] = key;
                kept += 1;
            }
        }
        self.memory.stack.truncate(kept);
    }

    fn reference_key(&self, at: u32, reference: FieldId, wanted: Option<&str>) -> Option<Item> {
        let mut next = at + 1;
        while next < self.node(at).end {
            let child = self.node(next);
            if child.field == reference && matches!(child.kind, NodeType::Text(_)) {
                return self.key_in(child.text, wanted);
            }
            next = child.end;
        }
        None
    }

    /// The id in the text of a reference; none where it is to another type, or names no id.
    pub(super) fn key_in(&self, reference: TextRef, wanted: Option<&str>) -> Option<Item> {
        let (start, length) = key_of(self.text(reference), wanted)?;
        let key = TextRef {
            start: reference.start + start as u32,
            length: length as u32,
            ..reference
        };
        Some(Item::Text(TextKind::String, key))
    }

    pub(super) fn boundary(
        &mut self,
        base: usize,
        (bound, start, end): (Bound, FieldId, FieldId),
        precision: Option<&Expr>,
        scope: Scope,
    ) -> Result<(), RowError> {
        let digits = match precision {
            Some(precision) => match self.number(precision, scope)? {
                Some(digits) => Some(digits),
                None => {
                    self.memory.stack.truncate(base);
                    return Ok(());
                }
            },
            None => None,
        };
        let Some(mut item) = self.pop_single(base)? else {
            return Ok(());
        };
        if let (Item::Node(at), Scalar::Object(_)) = (item, self.scalar(item)) {
            let field = if bound == Bound::Low { start } else { end };
            match self.first_child(at, field) {
                Some(child) => item = Item::Node(child),
                None => return Ok(()),
            }
        }
        let made = match self.scalar(item) {
            Scalar::Text(TextKind::Time, text) => time(text)
                .and_then(|time| time.boundary(bound, digits))
                .map(|time| (TextKind::Time, time.to_string())),
            Scalar::Text(TextKind::Date, text) => {
                let date = Date::parse(text)
                    .ok()
                    .and_then(|date| date.boundary(bound, digits));
                date.map(|date| (TextKind::Date, date.to_string()))
            }
            Scalar::Text(_, text) => {
                let moment = moment(text).and_then(|moment| moment.boundary(bound, digits));
                moment.map(|moment| (TextKind::DateTime, moment.to_string()))
            }
            scalar => {
                let number = decimal(scalar).and_then(|number| number.boundary(bound, digits));
                number.map(|number| (TextKind::Decimal, number.to_string()))
            }
        };
        if let Some((kind, text)) = made {
            let item = self.make(kind, &text)?;
            self.push(item);
        }
        Ok(())
    }

    pub(super) fn first_child(&self, at: u32, field: FieldId) -> Option<u32> {
        let mut next = at + 1;
        while next < self.node(at).end {
            if self.node(next).field == field {
                return Some(next);
            }
            next = self.node(next).end;
        }
        None
    }
}

/// Where the id stands in `Patient/1`, `https://…/Patient/1` or `Patient/1/_history/2`.
fn key_of(reference: &str, wanted: Option<&str>) -> Option<(usize, usize)> {
    let mut end = reference.len();
    // Where the last two slashes are, of a version none.
    let (mut slash, mut earlier) = (None, None);
    for (at, byte) in reference.bytes().enumerate() {
        match byte {
            b'?' | b'#' | b'|' => return None,
            b'/' if at < end && reference[at..].starts_with("/_history/") => end = at,
            b'/' if at < end => (earlier, slash) = (slash, Some(at)),
            _ => {}
        }
    }
    let slash = slash?;
    let found = &reference[earlier.map_or(0, |earlier: usize| earlier + 1)..slash];
    let key = &reference[slash + 1..end];
    let fits = match wanted {
        Some(wanted) => found == wanted,
        None => r4::is_resource_type(found),
    };
    (fits && !key.is_empty()).then_some((slash + 1, key.len()))
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn a_reference_gives_the_id_of_its_resource_or_nothing() {
        let key = |reference: &str, wanted: Option<&str>| {
            key_of(reference, wanted).map(|(start, length)| reference[start..start + length].to_owned())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(key("Patient/p1", None), some("p1"));
        assert_eq!(key("Patient/p1", Some("Patient")), some("p1"));
        assert_eq!(key("Patient/p1", Some("Observation")), None);
        assert_eq!(
            key("https://a.example/fhir/Patient/p1/_history/2", Some("Patient")),
            some("p1")
        );
        for nothing in [
            "#contained",
            "urn:uuid:1",
            "Patient?identifier=a|b",
            "Patient/",
            "p1",
            "Nothing/1",
        ] {
            assert_eq!(key(nothing, None), None, "{nothing}");
        }
    }
}
