//! Fast steps: which columns read nothing but places, and which places those are.
//!
//! Most columns follow a path of elements, perhaps with conditions that compare an element with a text, and use what
//! they find as it is. Their paths become [`Place`]s: collections of nodes that are found once for each context,
//! however many columns read them or go on from them. Whatever does not fit stays with the interpreter of expressions,
//! which gives the same.
//!
//! A step is fast only if it cannot fail and keeps no extension of a primitive in view, so that it may be taken once, early
//! and for a column that is not asked for in the end.

use crate::program::{
    Comparison, Condition, Expr, Hop, Item, IterationPlan, Logic, Place, Program, SelectPlan, Step, TextKind,
    Value,
};
use crate::tape::EdgeId;
use crate::trie::{FieldId, Fields, Trie, TrieId};

/// An edge that no object has: children are sought one by one.
const NOWHERE: u32 = u32::MAX - 1;

/// Chooses fast steps for a program that is otherwise complete.
pub(super) fn choose(program: &mut Program) {
    let mut selects = std::mem::take(&mut program.selects);
    let chooser = Chooser {
        fields: &program.fields,
        trie: &program.trie,
    };
    let mut places = Places::on(Some(program.trie.root));
    for select in &mut selects {
        chooser.select(select, &mut places);
    }
    program.places = places.list;
    program.selects = selects;
}

struct Chooser<'a> {
    fields: &'a Fields,
    trie: &'a Trie,
}

/// The places of one context, and the node of the trie of each where it is known; the first is the context itself.
struct Places {
    list: Vec<Place>,
    tries: Vec<Option<TrieId>>,
}

impl Places {
    fn on(context: Option<TrieId>) -> Self {
        Self {
            list: Vec::new(),
            tries: vec![context],
        }
    }

    fn add(&mut self, place: Place, trie: Option<TrieId>) -> usize {
        match self.list.iter().position(|known| *known == place) {
            Some(known) => known + 1,
            None => {
                self.list.push(place);
                self.tries.push(trie);
                self.list.len()
            }
        }
    }
}

/// A hop, where it leads to, and whether only the first node is wanted.
type Leap = (Hop, Option<TrieId>, bool);

impl Chooser<'_> {
    /// Chooses the places of a select; `outer` are those of the context that it is in.
    fn select(&self, plan: &mut SelectPlan, outer: &mut Places) {
        let items = match &plan.iteration {
            IterationPlan::None => return self.body(plan, outer),
            IterationPlan::ForEach(path) | IterationPlan::ForEachOrNull(path) => self.place(path, outer),
            IterationPlan::Repeat(_) => None,
        };
        let mut own = Places::on(items.and_then(|items| outer.tries[items]));
        self.body(plan, &mut own);
        plan.items = items;
        plan.places = own.list;
    }

    fn body(&self, plan: &mut SelectPlan, places: &mut Places) {
        for column in &mut plan.columns {
            column.value = self.value(&column.expr, places).unwrap_or(Value::General);
        }
        for nested in plan.selects.iter_mut().chain(&mut plan.unions) {
            self.select(nested, places);
        }
    }

    fn value(&self, expr: &Expr, places: &mut Places) -> Option<Value> {
        let Expr::Path(start, steps) = expr else {
            return self.place(expr, places).map(Value::Nodes);
        };
        let (last, before) = steps.split_last()?;
        let place_before = |places: &mut Places| self.path(start, before, places);
        match last {
            Step::Join(None) => Some(Value::Join(place_before(places)?, None)),
            Step::Join(Some(Expr::Literal(Item::Text(TextKind::String, separator)))) => {
                Some(Value::Join(place_before(places)?, Some(*separator)))
            }
            Step::Exists => Some(Value::Exists(place_before(places)?, true)),
            Step::Empty => Some(Value::Exists(place_before(places)?, false)),
            Step::Count => Some(Value::Count(place_before(places)?)),
            Step::ReferenceKey { reference, wanted } => {
                let place = place_before(places)?;
                Some(Value::Keys {
                    place,
                    reference: self.edge(places.tries[place], *reference)?.0,
                    wanted: wanted.clone(),
                })
            }
            _ => self.path(start, steps, places).map(Value::Nodes),
        }
    }

    /// The place that an expression gives the nodes of.
    fn place(&self, expr: &Expr, places: &mut Places) -> Option<usize> {
        match expr {
            Expr::This | Expr::Context => Some(0),
            Expr::Path(start, steps) => self.path(start, steps, places),
            _ => None,
        }
    }

    fn path(&self, start: &Expr, steps: &[Step], places: &mut Places) -> Option<usize> {
        let start = self.place(start, places)?;
        let leaps = self.leaps(places.tries[start], steps)?;
        let mut from = start;
        for (hop, trie, first) in leaps {
            from = places.add(Place { from, hop, first }, trie);
        }
        Some(from)
    }

    /// The steps as hops, from a node of the trie; none where one of them is none.
    fn leaps(&self, mut trie: Option<TrieId>, steps: &[Step]) -> Option<Vec<Leap>> {
        let mut leaps = Vec::new();
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            let fields = match step {
                Step::Child(field) | Step::ResourceKey(field) => std::slice::from_ref(field),
                Step::AnyChild(fields) => fields,
                _ => return None,
            };
            let edges = fields.iter().map(|field| self.edge(trie, *field));
            let (edges, places): (Vec<_>, Vec<_>) = edges.collect::<Option<Vec<_>>>()?.into_iter().unzip();
            // Where several types may stand, children of theirs are sought one by one.
            trie = places.first().copied().flatten().filter(|_| places.len() == 1);
            let mut conditions = Vec::new();
            loop {
                match steps.peek() {
                    Some(Step::WhereField(field, text)) => {
                        conditions.push(Condition::Is(self.edge(trie, *field)?.0, *text));
                    }
                    Some(Step::Where(body)) => conditions.extend(self.conditions(trie, body)?),
                    _ => break,
                }
                steps.next();
            }
            let first = steps.next_if(|step| matches!(step, Step::First)).is_some();
            leaps.push((Hop { edges, conditions }, trie, first));
        }
        Some(leaps)
    }

    /// The conditions that all hold exactly where an expression is true.
    fn conditions(&self, trie: Option<TrieId>, body: &Expr) -> Option<Vec<Condition>> {
        match body {
            Expr::Logic(Logic::And, both) => {
                let mut conditions = self.conditions(trie, &both[0])?;
                conditions.extend(self.conditions(trie, &both[1])?);
                Some(conditions)
            }
            Expr::Compare(Comparison::Equal, sides) => match &**sides {
                [own, Expr::Literal(Item::Text(TextKind::String, text))] => {
                    let field = super::fhir_function::only_child(own)?;
                    Some(vec![Condition::Is(self.edge(trie, field)?.0, *text)])
                }
                _ => None,
            },
            Expr::Path(start, steps) if matches!(**start, Expr::This) => {
                let (Step::Exists, before) = steps.split_last()? else {
                    return None;
                };
                let leaps = self.leaps(trie, before)?;
                let hops = leaps.into_iter().map(|(hop, _, first)| (!first).then_some(hop));
                Some(vec![Condition::Exists(hops.collect::<Option<_>>()?)])
            }
            _ => None,
        }
    }

    /// The edge of a field, and where it leads to; none where extensions of its values are read.
    fn edge(&self, from: Option<TrieId>, field: FieldId) -> Option<(EdgeId, Option<TrieId>)> {
        if self.fields.get(field).shadow.is_some() {
            return None;
        }
        let known = from.and_then(|from| {
            let node = self.trie.node(from);
            let edge = node.edge_of(field)?;
            Some((from, edge, node.edges[edge].to))
        });
        let (place, edge) = known.map_or((NOWHERE, 0), |(from, edge, _)| (from as u32, edge as u32));
        Some((EdgeId { field, place, edge }, known.map(|(_, _, to)| to)))
    }
}
