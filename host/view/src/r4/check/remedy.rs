//! What was probably meant by a name that does not exist.

use super::super::{Lookup, TypeInfo, nearest_resource_type, type_named};

/// Longer names are not looked at.
const LONGEST: usize = 64;

/// What to say after "no such element".
pub(super) fn of_element(owner: &'static TypeInfo, key: &str) -> String {
    if key == "fhir_comments" {
        return ": R4 has no comments in JSON, leave them out".to_owned();
    }
    if key == "resourceType" {
        return ": only resources have it, leave it out".to_owned();
    }
    if key.len() > LONGEST {
        return String::new();
    }
    if let Some(plain) = key.strip_prefix('_')
        && !matches!(owner.lookup(plain), Lookup::Unknown)
    {
        return format!(": nothing can hang on `{plain}`, which is no primitive or cannot be extended");
    }
    if let Lookup::Element(element) = owner.lookup(key) {
        let mut keys: Vec<_> = element
            .types()
            .iter()
            .map(|one| format!("`{}`", one.json_key()))
            .collect();
        let is_cut = keys.len() > 4;
        keys.truncate(4);
        let more = if is_cut { " or another type" } else { "" };
        return format!(": its name says its type, write {}{more}", keys.join(" or "));
    }
    of_choice(owner, key)
        .or_else(|| Some(format!(", did you mean `{}`", owner.nearest_element(key)?)))
        .unwrap_or_default()
}

/// For `valueAddress`, where the choice `value` has no such type.
fn of_choice(owner: &'static TypeInfo, key: &str) -> Option<String> {
    let choices = owner.elements().iter().filter(|element| element.is_choice());
    let (element, wanted) = choices
        .filter_map(|element| Some((element, key.strip_prefix(element.name())?)))
        .find(|(_, wanted)| is_type(wanted))?;
    Some(format!(
        ": `{}[x]` is never of the type `{wanted}` here",
        element.name()
    ))
}

/// Whether a choice's key may end so: `Address`, `DateTime`.
fn is_type(ending: &str) -> bool {
    let mut letters = ending.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let primitive: String = first.into_iter().chain(letters).collect();
    type_named(ending).is_some() || (type_named(&primitive).is_some() && primitive != ending)
}

/// What to say after "no such resource type".
pub(super) fn of_type(name: &str) -> String {
    let name = name.get(..LONGEST).unwrap_or(name);
    nearest_resource_type(name).map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`"))
}
