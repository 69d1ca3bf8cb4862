//! Reads `table.txt` into memory. The header of `scripts/generate_r4_table.py` describes its lines.
//!
//! The file is compiled in and a test holds that every line of it is understood, so a line that is not is a mistake
//! made while developing: it is dropped here, and the test names it.

use std::collections::HashMap;

use super::{ChoiceKey, Element, ElementType, Kind, TypeId, TypeInfo};

/// All types, each found by its name.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) types: Vec<TypeInfo>,
    ids: HashMap<&'static str, TypeId>,
    /// By name.
    sorted: Vec<TypeId>,
}

impl Table {
    pub(super) fn parse(text: &'static str) -> Table {
        let ids = numbered(text);
        let mut types: Vec<TypeInfo> = Vec::with_capacity(ids.len());
        for line in text.lines() {
            match line.strip_prefix(' ') {
                None => {
                    let heading = heading(line, &ids, &types);
                    types.extend(heading);
                }
                Some(line) => {
                    if let (Some(owner), Some(element)) = (types.last_mut(), element(line, &ids)) {
                        owner.elements.push(element);
                    }
                }
            }
        }
        for info in &mut types {
            info.elements.sort_by_key(|element| element.name);
            info.choice_keys = choice_keys(&info.elements);
        }
        let mut sorted: Vec<TypeId> = ids.values().copied().collect();
        sorted.sort_by_key(|id| types.get(usize::from(id.0)).map(|info| info.name));
        Table { types, ids, sorted }
    }

    pub(super) fn id_of(&self, name: &str) -> Option<TypeId> {
        self.ids.get(name).copied()
    }

    pub(super) fn type_at(&self, id: TypeId) -> Option<&TypeInfo> {
        self.types.get(usize::from(id.0))
    }

    /// The type of an id that this table gave out.
    pub(super) fn known(&self, id: TypeId) -> &TypeInfo {
        &self.types[usize::from(id.0)]
    }

    pub(super) fn sorted(&self) -> impl Iterator<Item = &TypeInfo> {
        self.sorted.iter().filter_map(|id| self.type_at(*id))
    }
}

/// The name of each type and its place, so that elements may name types that come later.
fn numbered(text: &'static str) -> HashMap<&'static str, TypeId> {
    let headings = text.lines().filter(|line| !line.starts_with(' '));
    let names = headings.filter_map(|line| line.split(' ').nth(1));
    names
        .zip(0..)
        .map(|(name, place)| (name, TypeId(place)))
        .collect()
}

/// A type with the elements of its base, which stands before it.
fn heading(line: &'static str, ids: &HashMap<&str, TypeId>, before: &[TypeInfo]) -> Option<TypeInfo> {
    let mut words = line.split(' ');
    let (keyword, name, base) = (words.next()?, words.next()?, words.next()?);
    let kind = match keyword {
        "resource" => Kind::Resource,
        "abstract" if name.ends_with("Resource") => Kind::AnyResource,
        "abstract" => Kind::AnyElement,
        "type" => Kind::Datatype,
        "part" => Kind::Part,
        "primitive" => Kind::Primitive,
        _ => return None,
    };
    let base = ids.get(base).copied();
    let inherited = base
        .and_then(|id| before.get(usize::from(id.0)))
        .map(|base| base.elements.clone());
    Some(TypeInfo {
        name,
        kind,
        base,
        elements: inherited.unwrap_or_default(),
        choice_keys: Vec::new(),
    })
}

fn element(line: &'static str, ids: &HashMap<&str, TypeId>) -> Option<Element> {
    let mut words = line.split(' ');
    let (name, cardinality) = (words.next()?, words.next()?);
    let (min, max) = cardinality.split_once("..")?;
    let (name, choice) = name
        .strip_suffix("[x]")
        .map_or((name, false), |name| (name, true));
    let types = words
        .map(|word| element_type(word, name, choice, ids))
        .collect::<Option<Vec<_>>>()?;
    Some(Element {
        name,
        min: min.parse().ok()?,
        many: max != "1" && max != "0",
        choice,
        types,
    })
}

fn element_type(
    word: &'static str,
    name: &str,
    choice: bool,
    ids: &HashMap<&str, TypeId>,
) -> Option<ElementType> {
    let (code, targets) = match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some((code, targets)) => (code, targets.split(',').collect()),
        None => (word, Vec::new()),
    };
    let json_key = if choice {
        choice_key(name, code)
    } else {
        name.to_owned()
    };
    Some(ElementType {
        id: *ids.get(code)?,
        json_key,
        targets,
    })
}

/// `value` and `dateTime` make `valueDateTime`.
fn choice_key(name: &str, code: &str) -> String {
    let mut letters = code.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    name.chars().chain(first).chain(letters).collect()
}

fn choice_keys(elements: &[Element]) -> Vec<ChoiceKey> {
    let mut keys = Vec::new();
    for (element, declared) in elements
        .iter()
        .enumerate()
        .filter(|(_, declared)| declared.choice)
    {
        for (element_type, allowed) in declared.types.iter().enumerate() {
            keys.push(ChoiceKey {
                key: allowed.json_key.clone(),
                element,
                element_type,
            });
        }
    }
    keys.sort_by(|one, other| one.key.cmp(&other.key));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("table.txt");

    #[test]
    fn every_line_of_the_table_is_understood() {
        let ids = numbered(TEXT);
        for line in TEXT.lines() {
            match line.strip_prefix(' ') {
                None => assert!(heading(line, &ids, &[]).is_some(), "{line}"),
                Some(line) => assert!(element(line, &ids).is_some(), "{line}"),
            }
        }
        assert_eq!(Table::parse(TEXT).types.len(), ids.len());
    }

    #[test]
    fn a_base_stands_before_what_derives_from_it() {
        let table = Table::parse(TEXT);
        for (place, info) in table.types.iter().enumerate() {
            assert!(
                info.base.is_none_or(|base| usize::from(base.0) < place),
                "{}",
                info.name
            );
        }
    }

    #[test]
    fn no_type_has_two_elements_of_one_name_or_key() {
        for info in &Table::parse(TEXT).types {
            let names = info.elements.iter().map(|element| element.name);
            let keys = info.choice_keys.iter().map(|choice| choice.key.as_str());
            let mut all: Vec<_> = names.chain(keys).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{}", info.name);
        }
    }
}
