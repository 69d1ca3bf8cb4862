//! The table made ready for the check: for each type the JSON keys that its objects may have, found by their bytes.
//!
//! A key is looked up in an open hash table of its type, four places or more a key, by words rather than bytes: keys of
//! up to sixteen bytes, which is nearly all, are compared as two numbers.

use std::sync::OnceLock;

use super::super::{Element, ElementType, Kind, TypeId, TypeInfo, table};
use super::form::Primitive;

/// The place that stands for `resourceType` among an object's elements; no type has so many of its own.
const RESOURCE_TYPE: usize = 63;
/// An empty place of a hash table.
const NONE: u16 = u16::MAX;
/// How far apart the words of a key are spread; odd, with bits all over.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// The shapes of all types, by [`TypeId`].
#[derive(Debug)]
pub(super) struct Shapes {
    shapes: Vec<Shape>,
}

/// Which shape; the number of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShapeId(u16);

/// What an object of one type may hold.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) info: &'static TypeInfo,
    /// The elements that must be there, a bit each.
    pub(super) required: u64,
    members: Vec<Member>,
    slots: Vec<u16>,
    shift: u32,
}

/// A JSON key of a type.
#[derive(Debug)]
pub(super) struct Member {
    words: KeyWords,
    pub(super) key: String,
    /// The place of its element among the type's, below 64.
    pub(super) place: usize,
    /// The name as FHIRPath writes it: `value.ofType(Quantity)`.
    pub(super) path: String,
    pub(super) is_many: bool,
    pub(super) is_choice: bool,
    /// Whether this is the key with `_` before it, of what hangs on a primitive.
    pub(super) is_shadow: bool,
    pub(super) value: Value,
}

/// What stands under a key, once or in an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A string, number or boolean.
    Primitive(Primitive),
    /// An object of this shape.
    Object(ShapeId),
    /// A resource of any type.
    Resource,
    /// The name of the type, which was looked at when the resource was entered.
    ResourceType,
}

/// A key as numbers: its length, its first eight bytes, the next eight, and where it is longer its last eight mixed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyWords {
    pub(super) length: usize,
    pub(super) first: u64,
    pub(super) second: u64,
}

/// The shapes, made at first use.
pub(super) fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let shapes = table().types.iter().map(Shape::new).collect();
        Shapes { shapes }
    })
}

impl Shapes {
    pub(super) fn get(&self, id: ShapeId) -> &Shape {
        &self.shapes[usize::from(id.0)]
    }

    /// The shape of a resource type that instances have.
    pub(super) fn resource(&self, name: &str) -> Option<&Shape> {
        let id = table().id_of(name)?;
        self.shapes
            .get(usize::from(id.0))
            .filter(|shape| shape.info.is_resource())
    }
}

impl Shape {
    fn new(info: &'static TypeInfo) -> Shape {
        let mut members = Vec::new();
        for (place, element) in info.elements.iter().enumerate() {
            for allowed in &element.types {
                add_members(&mut members, info, place, element, allowed);
            }
        }
        if info.is_resource() {
            members.push(Member::resource_type());
        }
        let mut shape = Shape {
            info,
            required: required(info),
            slots: vec![NONE; (members.len() * 4).next_power_of_two().max(2)],
            shift: 0,
            members,
        };
        shape.shift = 64 - shape.slots.len().trailing_zeros();
        shape.fill();
        shape
    }

    fn fill(&mut self) {
        for (number, member) in (0u16..).zip(&self.members) {
            let mut slot = member.words.slot(self.shift);
            while self.slots[slot] != NONE {
                slot = (slot + 1) % self.slots.len();
            }
            self.slots[slot] = number;
        }
    }

    /// The member of a key that has no escapes.
    #[inline]
    pub(super) fn member(&self, words: KeyWords, key: &[u8]) -> Option<&Member> {
        let mut slot = words.slot(self.shift);
        loop {
            let number = *self.slots.get(slot)?;
            // The number of an empty place is no member's.
            let member = self.members.get(usize::from(number))?;
            if member.words == words && (words.length <= 16 || member.key.as_bytes() == key) {
                return Some(member);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// The element at a place; none for `resourceType`.
    pub(super) fn element(&self, place: usize) -> Option<&'static Element> {
        self.info.elements.get(place)
    }
}

fn required(info: &TypeInfo) -> u64 {
    let places = info.elements.iter().enumerate();
    places
        .filter(|(_, element)| element.min > 0)
        .fold(0, |bits, (place, _)| bits | 1 << place)
}

fn add_members(
    members: &mut Vec<Member>,
    info: &TypeInfo,
    place: usize,
    element: &'static Element,
    allowed: &'static ElementType,
) {
    let type_info = table().known(allowed.id);
    let member = |key: String, is_shadow: bool, value: Value| Member {
        words: KeyWords::of(key.as_bytes()),
        key,
        place,
        path: match element.choice {
            true => format!("{}.ofType({})", element.name, type_info.name),
            false => element.name.to_owned(),
        },
        is_many: element.many,
        is_choice: element.choice,
        is_shadow,
        value,
    };
    let primitive = Primitive::named(type_info.name);
    let value = match (type_info.kind, primitive) {
        (_, Some(primitive)) => Value::Primitive(primitive),
        (Kind::AnyResource, None) => Value::Resource,
        _ => Value::Object(ShapeId(allowed.id.0)),
    };
    members.push(member(allowed.json_key.clone(), false, value));
    if primitive.is_some() && !is_attribute(info, element, type_info) {
        // What hangs on it is an `id` and extensions: an `Element`, which stands first in the table.
        let id = table().id_of("Element").unwrap_or(TypeId(0));
        members.push(member(
            format!("_{}", allowed.json_key),
            true,
            Value::Object(ShapeId(id.0)),
        ));
    }
}

/// Whether XML writes the primitive as an attribute or as markup, so that nothing can hang on it.
fn is_attribute(info: &TypeInfo, element: &Element, type_info: &TypeInfo) -> bool {
    let is_element_id = element.name == "id" && type_info.name == "string";
    let is_url = element.name == "url" && info.name == "Extension";
    is_element_id || is_url || type_info.name == "xhtml"
}

impl Member {
    fn resource_type() -> Member {
        Member {
            words: KeyWords::of(b"resourceType"),
            key: "resourceType".to_owned(),
            place: RESOURCE_TYPE,
            path: "resourceType".to_owned(),
            is_many: false,
            is_choice: false,
            is_shadow: false,
            value: Value::ResourceType,
        }
    }

    /// The bit of its element.
    #[inline]
    pub(super) fn bit(&self) -> u64 {
        1 << self.place
    }
}

impl KeyWords {
    /// The words of a key that is at hand whole.
    pub(super) fn of(key: &[u8]) -> KeyWords {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = *from;
            }
            u64::from_le_bytes(word)
        };
        let long = match key.len() {
            0..=16 => 0,
            length => word(&key[length - 8..]),
        };
        KeyWords {
            length: key.len(),
            first: word(key),
            second: word(key.get(8..).unwrap_or_default()) ^ long,
        }
    }

    #[inline]
    fn slot(self, shift: u32) -> usize {
        let mixed = (self.first ^ self.second.rotate_left(23) ^ self.length as u64).wrapping_mul(SPREAD);
        ((mixed ^ mixed >> 32).wrapping_mul(SPREAD) >> shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_every_type_is_found_and_a_near_miss_is_not() {
        for shape in &shapes().shapes {
            assert!(shape.info.elements.len() < RESOURCE_TYPE, "{}", shape.info.name);
            for member in &shape.members {
                let key = member.key.as_bytes();
                let found = shape.member(KeyWords::of(key), key);
                assert!(
                    found.is_some_and(|found| found.key == member.key),
                    "{}",
                    member.key
                );
                for wrong in [format!("{}x", member.key), format!("x{}", member.key)] {
                    let is_another = shape.members.iter().any(|other| other.key == wrong);
                    let found = shape.member(KeyWords::of(wrong.as_bytes()), wrong.as_bytes());
                    assert_eq!(found.is_some(), is_another, "{wrong}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_type_of_json_stays_out() {
        let patient = shapes().resource("Patient").unwrap();
        let has = |key: &str| {
            patient
                .member(KeyWords::of(key.as_bytes()), key.as_bytes())
                .is_some()
        };
        for key in [
            "resourceType",
            "_birthDate",
            "deceasedBoolean",
            "_deceasedBoolean",
            "_id",
        ] {
            assert!(has(key), "{key}");
        }
        for key in [
            "deceased",
            "_name",
            "_resourceType",
            "_contained",
            "fhir_comments",
            "",
        ] {
            assert!(!has(key), "{key}");
        }
        assert!(shapes().resource("HumanName").is_none() && shapes().resource("DomainResource").is_none());
        let shadow = patient.members.iter().find(|member| member.is_shadow).unwrap();
        assert!(matches!(shadow.value, Value::Object(id) if shapes().get(id).info.name == "Element"));
    }
}
