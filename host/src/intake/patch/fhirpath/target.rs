//! Which member of an object an element is, by the table of R4.
//!
//! What the table does not have, such as a ViewDefinition's elements, is named as JSON names it: a list is what is a
//! list already.

use lakefeed_view::r4::{Element, ElementType, Lookup, TypeInfo};

use super::{Fault, Given};

/// No element's name is longer.
const MAX_NAME: usize = 64;
/// So many types are told; more are more than a reader wants.
const MAX_TOLD: usize = 8;

/// The member that a value goes to.
#[derive(Debug)]
pub(super) struct Target {
    /// Its key.
    pub(super) key: String,
    /// The element; none where the table has none.
    pub(super) element: Option<&'static Element>,
    /// The type that the value has there.
    pub(super) info: Option<&'static TypeInfo>,
}

/// The member that an element of this name and value is below a type.
pub(super) fn of(owner: Option<&'static TypeInfo>, name: &str, given: &Given) -> Result<Target, Fault> {
    match element(owner, name)? {
        Some(element) => of_element(element, given),
        None => Ok(Target {
            key: name.to_owned(),
            element: None,
            info: None,
        }),
    }
}

/// The member that an element is when it has this value.
pub(super) fn of_element(element: &'static Element, given: &Given) -> Result<Target, Fault> {
    let fitting = match element.is_choice() {
        true => choose(element, given),
        false => element
            .types()
            .first()
            .filter(|only| fits(given, only.type_info())),
    };
    let fitting = fitting.ok_or_else(|| other_type(element))?;
    Ok(Target {
        key: fitting.json_key().to_owned(),
        element: Some(element),
        info: Some(fitting.type_info()),
    })
}

/// The element of this name below a type; none where the table does not know the owner's elements.
pub(super) fn element(
    owner: Option<&'static TypeInfo>,
    name: &str,
) -> Result<Option<&'static Element>, Fault> {
    let Some(owner) = owner else {
        return match is_name(name) {
            true => Ok(None),
            false => Err(unknown(None, name)),
        };
    };
    match owner.lookup(name) {
        Lookup::Element(element) => Ok(Some(element)),
        Lookup::ChoiceKey {
            element,
            element_type,
        } => Err(Fault::JsonSpelling {
            name: name.to_owned(),
            element: element.name(),
            of: element_type.type_info().name(),
        }),
        Lookup::Unknown if owner.is_open() && is_name(name) => Ok(None),
        Lookup::Unknown => Err(unknown(Some(owner), name)),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unknown(owner: Option<&'static TypeInfo>, name: &str) -> Fault {
    let shown = if is_name(name) { name } else { "?" };
    Fault::Unknown {
        name: shown.to_owned(),
        owner: owner.map_or("any type", TypeInfo::name),
        nearest: owner
            .filter(|_| is_name(name))
            .and_then(|owner| owner.nearest_element(name)),
    }
}

fn other_type(element: &'static Element) -> Fault {
    let names = element.types().iter().map(|allowed| allowed.type_info().name());
    let mut takes = names.clone().take(MAX_TOLD).collect::<Vec<_>>().join(", ");
    if names.count() > MAX_TOLD {
        takes.push_str(", …");
    }
    Fault::OtherType { takes }
}

/// The type of a choice that a value has: its own, or one that it derives from.
fn choose(element: &'static Element, given: &Given) -> Option<&'static ElementType> {
    let Given::Typed { info, .. } = given else {
        return None;
    };
    info.lineage().find_map(|info| element.type_named(info.name()))
}

/// Whether a value may be given to an element of a type: the same, or one that derives from the other, as a `code`
/// is a `string`. A text may also be a uri, since R4 says both of an extension's url, and a narrative's markup, which
/// Parameters have no type for.
fn fits(given: &Given, wanted: &'static TypeInfo) -> bool {
    match given {
        Given::Typed { info, .. } => {
            let takes_text = wanted.is_a("uri") || wanted.is_a("xhtml");
            info.is_a(wanted.name()) || wanted.is_a(info.name()) || (info.name() == "string" && takes_text)
        }
        Given::Resource(_) => wanted.is_open(),
        Given::Parts(_) => !wanted.is_primitive() && !wanted.is_open(),
    }
}
