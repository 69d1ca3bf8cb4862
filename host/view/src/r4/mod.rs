//! The FHIR R4 definitions as a table: which types there are, which elements each has, of which types and how often.
//!
//! The compiler of paths asks it what a name means; intake asks it which resource types exist, and [`check`] holds
//! resources to it. The table is the text
//! file `table.txt`, written by `scripts/generate_r4_table.py`, parsed once at first use and then kept for the life
//! of the program, so everything here is handed out as `&'static` and looking something up allocates nothing.
//!
//! A *type* is a resource type (`Patient`), a datatype (`HumanName`), a primitive (`dateTime`) or a part, that is, an
//! element with elements of its own, named by its path (`Patient.contact`). Elements that a type inherits are listed
//! as its own.
//!
//! ```
//! use lakefeed_view::r4::{self, Lookup};
//!
//! let observation = r4::type_named("Observation").expect("a FHIR R4 type");
//! let Lookup::ChoiceKey { element, element_type } = observation.lookup("valueQuantity") else { panic!() };
//! assert_eq!((element.name(), element_type.type_info().name()), ("value", "Quantity"));
//! ```

pub mod check;
mod nearest;
mod parse;

use std::sync::OnceLock;

use parse::Table;

/// What sort of type a [`TypeInfo`] describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A resource type that instances have, such as `Patient`.
    Resource,
    /// `Resource` or `DomainResource`: an element of such a type holds a resource of any type.
    AnyResource,
    /// A datatype with elements, such as `HumanName`.
    Datatype,
    /// `Element` or `BackboneElement`: what datatypes and parts derive from.
    AnyElement,
    /// A part of a resource or datatype, named by its path: `Patient.contact`.
    Part,
    /// A primitive, such as `dateTime`: a JSON string, number or boolean.
    Primitive,
}

/// One type of FHIR R4 and its elements, inherited ones included.
#[derive(Debug)]
pub struct TypeInfo {
    name: &'static str,
    kind: Kind,
    base: Option<TypeId>,
    /// Sorted by name.
    elements: Vec<Element>,
    /// Sorted by key: the JSON keys of all choice elements.
    choice_keys: Vec<ChoiceKey>,
}

/// One element of a type.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    min: u32,
    many: bool,
    choice: bool,
    types: Vec<ElementType>,
}

/// One of the types that an element may have.
#[derive(Clone, Debug)]
pub struct ElementType {
    id: TypeId,
    json_key: String,
    targets: Vec<&'static str>,
}

/// What a name means below a type.
#[derive(Clone, Copy, Debug)]
pub enum Lookup {
    /// The name of an element, as FHIRPath writes it (`value` for `value[x]`).
    Element(&'static Element),
    /// The JSON key of one type of a choice element, which FHIRPath writes `value.ofType(Quantity)`.
    ChoiceKey {
        /// The choice element.
        element: &'static Element,
        /// The type that the key stands for.
        element_type: &'static ElementType,
    },
    /// No such element.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TypeId(u16);

#[derive(Debug)]
struct ChoiceKey {
    key: String,
    element: usize,
    element_type: usize,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::parse(include_str!("table.txt")))
}

/// The type of this name: a resource type, a datatype, a primitive, or a part by its path (`Patient.contact`).
pub fn type_named(name: &str) -> Option<&'static TypeInfo> {
    let table = table();
    table.type_at(table.id_of(name)?)
}

/// Whether `name` is a resource type that instances have; `Resource` and `DomainResource` are not.
pub fn is_resource_type(name: &str) -> bool {
    type_named(name).is_some_and(TypeInfo::is_resource)
}

/// All resource types that instances have, by name.
pub fn resource_types() -> impl Iterator<Item = &'static TypeInfo> {
    table().sorted().filter(|info| info.is_resource())
}

/// The resource type whose name is nearest to a misspelt one, if any is near enough to suggest.
pub fn nearest_resource_type(name: &str) -> Option<&'static str> {
    nearest::nearest(name, resource_types().map(TypeInfo::name))
}

/// The type, of any kind but a part, whose name is nearest to a misspelt one, if any is near enough to suggest.
pub fn nearest_type(name: &str) -> Option<&'static str> {
    let types = table().sorted().filter(|info| info.kind != Kind::Part);
    nearest::nearest(name, types.map(TypeInfo::name))
}

impl TypeInfo {
    /// The FHIR type code, or the path of a part.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What sort of type this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The type that this one derives from; none for `Resource` and `Element`.
    pub fn base(&self) -> Option<&'static TypeInfo> {
        table().type_at(self.base?)
    }

    /// This type and all that it derives from, nearest first.
    pub fn lineage(&'static self) -> impl Iterator<Item = &'static TypeInfo> {
        std::iter::successors(Some(self), |info| info.base())
    }

    /// Whether this type is `name` or derives from it: a `code` is a `string`, an `Age` is a `Quantity`.
    pub fn is_a(&'static self, name: &str) -> bool {
        self.lineage().any(|info| info.name == name)
    }

    /// Whether instances of this type are resources.
    pub fn is_resource(&self) -> bool {
        self.kind == Kind::Resource
    }

    /// Whether values of this type are single JSON strings, numbers or booleans.
    pub fn is_primitive(&self) -> bool {
        self.kind == Kind::Primitive
    }

    /// Whether an element of this type holds a resource of any type, as `contained` and `Bundle.entry.resource` do,
    /// so that nothing is known of its elements before the resource is at hand.
    pub fn is_open(&self) -> bool {
        self.kind == Kind::AnyResource
    }

    /// All elements by name, inherited ones included.
    pub fn elements(&'static self) -> &'static [Element] {
        &self.elements
    }

    /// The element of this name, as FHIRPath writes it: `value` for `value[x]`, never `valueQuantity`.
    pub fn element(&'static self, name: &str) -> Option<&'static Element> {
        let at = self
            .elements
            .binary_search_by(|element| element.name.cmp(name))
            .ok()?;
        self.elements.get(at)
    }

    /// What `name` means below this type, JSON keys of choice elements included.
    pub fn lookup(&'static self, name: &str) -> Lookup {
        if let Some(element) = self.element(name) {
            return Lookup::Element(element);
        }
        self.choice_key(name)
            .map_or(Lookup::Unknown, |(element, element_type)| Lookup::ChoiceKey {
                element,
                element_type,
            })
    }

    fn choice_key(&'static self, key: &str) -> Option<(&'static Element, &'static ElementType)> {
        let at = self
            .choice_keys
            .binary_search_by(|known| known.key.as_str().cmp(key))
            .ok()?;
        let known = self.choice_keys.get(at)?;
        let element = self.elements.get(known.element)?;
        Some((element, element.types.get(known.element_type)?))
    }

    /// The name of the element that is nearest to a misspelt one, if any is near enough to suggest.
    pub fn nearest_element(&self, name: &str) -> Option<&'static str> {
        nearest::nearest(name, self.elements.iter().map(Element::name))
    }
}

impl PartialEq for TypeInfo {
    fn eq(&self, other: &TypeInfo) -> bool {
        self.name == other.name
    }
}

impl Eq for TypeInfo {}

impl Element {
    /// The name as FHIRPath writes it: `value` for `value[x]`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many there must be at least.
    pub fn min(&self) -> u32 {
        self.min
    }

    /// Whether there may be more than one, so that JSON holds an array.
    pub fn is_many(&self) -> bool {
        self.many
    }

    /// Whether the JSON key tells the type (`value[x]`), even where one type alone is allowed.
    pub fn is_choice(&self) -> bool {
        self.choice
    }

    /// The allowed types, in the order of the definition; one alone unless this is a choice.
    pub fn types(&'static self) -> &'static [ElementType] {
        &self.types
    }

    /// The type of an element that is no choice.
    pub fn only_type(&'static self) -> Option<&'static TypeInfo> {
        match self.types() {
            [only] if !self.choice => Some(only.type_info()),
            _ => None,
        }
    }

    /// The allowed type of exactly this name.
    pub fn type_named(&'static self, name: &str) -> Option<&'static ElementType> {
        self.types.iter().find(|allowed| allowed.type_info().name == name)
    }

    /// The allowed types that are `name` or derive from it, as `ofType` selects them.
    pub fn types_that_are<'a>(
        &'static self,
        name: &'a str,
    ) -> impl Iterator<Item = &'static ElementType> + use<'a> {
        self.types
            .iter()
            .filter(move |allowed| allowed.type_info().is_a(name))
    }
}

impl ElementType {
    /// The type.
    pub fn type_info(&self) -> &'static TypeInfo {
        table().known(self.id)
    }

    /// The key under which JSON holds the element when it has this type: `valueQuantity`, or for an element that is
    /// no choice its name.
    pub fn json_key(&self) -> &str {
        &self.json_key
    }

    /// What a `Reference` may point at: resource types, or `Resource` for any. Empty for other types, and where the
    /// definition does not say.
    pub fn targets(&self) -> &[&'static str] {
        &self.targets
    }
}

#[cfg(test)]
mod tests;
