//! A path to the places that it selects in a resource.

use lakefeed_view::place::{Path, Step};
use lakefeed_view::r4::{self, Element, TypeInfo};
use serde_json::Value;

use super::{Fault, Work, typing};

/// A member of an object, or an element of the list that the member is.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) key: String,
    pub(super) index: Option<usize>,
}

/// Where an element lies.
#[derive(Debug)]
pub(super) struct Place {
    /// The way to the object that has it as a member.
    pub(super) way: Vec<Segment>,
    /// Which member it is; none for the resource itself.
    pub(super) member: Option<Segment>,
    /// Which element it is; none where the table of R4 has none.
    pub(super) element: Option<&'static Element>,
    /// Its type, where it is known.
    pub(super) info: Option<&'static TypeInfo>,
}

impl Place {
    /// The way to the object that holds the element's own elements, which a primitive has beside it.
    pub(super) fn inside(&self) -> Vec<Segment> {
        let mut way = self.way.clone();
        way.extend(self.member.clone().map(|member| Segment {
            key: match is_primitive(self.info) {
                true => beside(&member.key),
                false => member.key,
            },
            index: member.index,
        }));
        way
    }
}

/// The member in which what belongs to a primitive stands beside it.
pub(super) fn beside(key: &str) -> String {
    format!("_{key}")
}

fn is_primitive(info: Option<&TypeInfo>) -> bool {
    info.is_some_and(TypeInfo::is_primitive)
}

/// The one element that a path selects.
pub(super) fn one(resource: &Value, path: &Path, work: &mut Work) -> Result<Place, Fault> {
    at_most_one(resource, path, work)?.ok_or(Fault::Nothing)
}

/// The one element that a path selects, if there is any.
pub(super) fn at_most_one(resource: &Value, path: &Path, work: &mut Work) -> Result<Option<Place>, Fault> {
    let mut walk = Walk::new(resource, work);
    let steps = walk.without_type(&path.steps);
    typing::check(steps, walk.nodes[ROOT].info, walk.work)?;
    let selected = walk.follow(vec![ROOT], steps)?;
    match selected[..] {
        [] => Ok(None),
        [only] => Ok(Some(walk.place(only))),
        _ => Err(Fault::Several),
    }
}

/// The resource itself among the nodes.
const ROOT: usize = 0;

/// An element that a walk has come by.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    /// The element that has it; the resource has itself.
    parent: usize,
    key: &'a str,
    index: Option<usize>,
    /// None for a primitive that has only what stands beside it.
    pub(super) value: Option<&'a Value>,
    beside: Option<&'a Value>,
    element: Option<&'static Element>,
    info: Option<&'static TypeInfo>,
}

/// A member as the table knows it.
#[derive(Clone, Copy)]
struct Known<'a> {
    key: &'a str,
    element: Option<&'static Element>,
    info: Option<&'static TypeInfo>,
}

/// A walk through a resource. Nodes are named by their indexes.
pub(super) struct Walk<'a, 'w> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) work: &'w mut Work,
}

impl<'a, 'w> Walk<'a, 'w> {
    fn new(resource: &'a Value, work: &'w mut Work) -> Self {
        // Of a type that R4 does not have, what all resources have is known.
        let info = r4::type_named("DomainResource");
        let root = Node {
            parent: ROOT,
            key: "",
            index: None,
            value: Some(resource),
            beside: None,
            element: None,
            info: narrowed(info, Some(resource)),
        };
        Self {
            nodes: vec![root],
            work,
        }
    }

    /// The steps without the type that a path may begin with.
    fn without_type(&self, steps: &'a [Step]) -> &'a [Step] {
        let root = &self.nodes[ROOT];
        let stated = root.value.and_then(|resource| resource.get("resourceType"));
        let is_type = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_uppercase())
                && (stated.and_then(Value::as_str) == Some(name)
                    || root.info.is_some_and(|info| info.is_a(name)))
        };
        match steps.split_first() {
            Some((Step::Member(name), rest)) if is_type(name) => rest,
            _ => steps,
        }
    }

    /// What the steps select, from what is selected so far.
    pub(super) fn follow(
        &mut self,
        mut selected: Vec<usize>,
        steps: &'a [Step],
    ) -> Result<Vec<usize>, Fault> {
        for step in steps {
            selected = self.step(selected, step)?;
        }
        Ok(selected)
    }

    fn step(&mut self, mut selected: Vec<usize>, step: &'a Step) -> Result<Vec<usize>, Fault> {
        self.work.look(selected.len() + 1)?;
        match step {
            Step::Member(name) => return self.members(&selected, name),
            Step::At(position) => return Ok(selected.get(*position).copied().into_iter().collect()),
            Step::First => selected.truncate(1),
            Step::Last => return Ok(selected.pop().into_iter().collect()),
            Step::Single if selected.len() > 1 => return Err(Fault::Several),
            Step::Single => {}
            Step::OfType(wanted) => selected.retain(|node| {
                let info = self.nodes[*node].info;
                info.is_some_and(|info| info.is_a(wanted.name()))
            }),
            Step::Extension(url) => {
                selected = self.members(&selected, "extension")?;
                selected.retain(|node| {
                    let value = self.nodes[*node].value;
                    value.and_then(|value| value.get("url")?.as_str()) == Some(url)
                });
            }
            Step::Where(condition) => {
                let mut kept = Vec::new();
                for node in selected {
                    if self.truth(condition, node)? == Some(true) {
                        kept.push(node);
                    }
                }
                return Ok(kept);
            }
        }
        Ok(selected)
    }

    fn members(&mut self, selected: &[usize], name: &'a str) -> Result<Vec<usize>, Fault> {
        let mut found = Vec::new();
        for node in selected {
            self.member(*node, name, &mut found)?;
        }
        Ok(found)
    }

    fn member(&mut self, node: usize, name: &'a str, found: &mut Vec<usize>) -> Result<(), Fault> {
        let owner = self.nodes[node].info;
        // Of the types that may be here, which were checked before, another has it.
        if !typing::has(owner, name) {
            return Ok(());
        }
        let Some(element) = typing::element(owner, name)? else {
            let (element, info) = (None, None);
            let known = Known {
                key: name,
                element,
                info,
            };
            return self.children(node, known, found);
        };
        for allowed in element.types() {
            let known = Known {
                key: allowed.json_key(),
                element: Some(element),
                info: Some(allowed.type_info()),
            };
            self.children(node, known, found)?;
        }
        Ok(())
    }

    /// The elements that a member holds.
    fn children(&mut self, parent: usize, known: Known<'a>, found: &mut Vec<usize>) -> Result<(), Fault> {
        let owner = &self.nodes[parent];
        let object = match is_primitive(owner.info) {
            true => owner.beside,
            false => owner.value,
        };
        let Some(object) = object.and_then(Value::as_object) else {
            return Ok(());
        };
        let value = object.get(known.key);
        let may_have_more = known.info.is_none_or(TypeInfo::is_primitive);
        let beside = may_have_more.then(|| object.get(&beside(known.key))).flatten();
        let lists = [value, beside].map(|member| member.and_then(Value::as_array));
        let length = lists.iter().flatten().map(|list| list.len()).max();
        let [values, besides] = lists;
        self.work.look(length.unwrap_or(1))?;
        let item = |list: Option<&'a Vec<Value>>, index: usize| list.and_then(|list| list.get(index));
        match length {
            Some(length) => {
                for index in 0..length {
                    self.child(
                        parent,
                        known,
                        (item(values, index), item(besides, index)),
                        Some(index),
                        found,
                    );
                }
            }
            None if is_there(value) || is_there(beside) => {
                self.child(parent, known, (value, beside), None, found)
            }
            None => {}
        }
        Ok(())
    }

    fn child(
        &mut self,
        parent: usize,
        known: Known<'a>,
        (value, beside): (Option<&'a Value>, Option<&'a Value>),
        index: Option<usize>,
        found: &mut Vec<usize>,
    ) {
        found.push(self.nodes.len());
        self.nodes.push(Node {
            parent,
            key: known.key,
            index,
            value: value.filter(|value| !value.is_null()),
            beside: beside.filter(|beside| !beside.is_null()),
            element: known.element,
            info: narrowed(known.info, value),
        });
    }

    fn place(&self, node: usize) -> Place {
        let mut chain = Vec::new();
        let mut at = node;
        while at != ROOT {
            chain.push(at);
            at = self.nodes[at].parent;
        }
        // From the element outwards, so that the first is the element itself.
        let mut segments = chain.into_iter().enumerate().map(|(outwards, at)| {
            let node = &self.nodes[at];
            Segment {
                key: match outwards > 0 && is_primitive(node.info) {
                    true => beside(node.key),
                    false => node.key.to_owned(),
                },
                index: node.index,
            }
        });
        let member = segments.next();
        let mut way: Vec<Segment> = segments.collect();
        way.reverse();
        let node = &self.nodes[node];
        Place {
            way,
            member,
            element: node.element,
            info: node.info,
        }
    }
}

fn is_there(member: Option<&Value>) -> bool {
    member.is_some_and(|member| !member.is_null())
}

/// The type of a resource within a resource, which the resource itself states.
fn narrowed(info: Option<&'static TypeInfo>, value: Option<&Value>) -> Option<&'static TypeInfo> {
    let stated = value.and_then(|value| value.get("resourceType")?.as_str());
    let is_open = info.is_some_and(TypeInfo::is_open);
    let own = stated.filter(|_| is_open).and_then(r4::type_named);
    own.filter(|own| own.is_resource()).or(info)
}
