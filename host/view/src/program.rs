//! The compiled form of a view: what to project from a resource, and what to compute from that.
//!
//! An [`Expr`] gives a collection of [`Item`]s; most are a path, that is, a start and [`Step`]s that each turn a
//! collection into another. Names were resolved to [`FieldId`]s, literals and constants to [`Item`]s, patterns to
//! compiled regular expressions.

use std::collections::BTreeMap;

use regex::Regex;

use crate::boundary::Bound;
use crate::cell::TextRef;
use crate::r4::TypeInfo;
use crate::tape::EdgeId;
use crate::trie::{FieldId, Fields, Trie, TrieId};

/// One member of a FHIRPath collection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item {
    /// A node of the tape.
    Node(u32),
    Boolean(bool),
    Integer(i64),
    /// Text of some kind; a decimal is its digits, so that they stay exact.
    Text(TextKind, TextRef),
}

/// What a text means when it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    String,
    Decimal,
    Date,
    DateTime,
    Time,
}

/// What evaluation runs.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) fields: Fields,
    pub(crate) trie: Trie,
    /// The text of all literals and constants.
    pub(crate) literals: String,
    pub(crate) patterns: Vec<Regex>,
    pub(crate) wheres: Vec<Expr>,
    pub(crate) selects: Vec<SelectPlan>,
    /// The places of the resource that selects read.
    pub(crate) places: Vec<Place>,
    /// How many columns a row has.
    pub(crate) width: usize,
    pub(crate) resolution: Resolution,
}

/// How references are followed to the resources that they name.
#[derive(Debug, Default)]
pub(crate) struct Resolution {
    /// How many references in a row are followed at most; none are where this is zero.
    pub(crate) hops: usize,
    /// The field of a reference's text, and those by which a contained resource is found.
    pub(crate) reference: FieldId,
    pub(crate) contained: FieldId,
    pub(crate) id: FieldId,
    pub(crate) resource_type: FieldId,
    /// What is read of a resource that was resolved, by its type.
    pub(crate) roots: BTreeMap<&'static str, TrieId>,
    /// What is read of one of any other type.
    pub(crate) any: TrieId,
}

/// One select, ready to run.
#[derive(Debug)]
pub(crate) struct SelectPlan {
    pub(crate) iteration: IterationPlan,
    /// The place of the outer context whose nodes are iterated over; none where the interpreter must find the items.
    pub(crate) items: Option<usize>,
    /// The places of each item.
    pub(crate) places: Vec<Place>,
    pub(crate) columns: Vec<ColumnPlan>,
    pub(crate) selects: Vec<SelectPlan>,
    pub(crate) unions: Vec<SelectPlan>,
    /// How many columns it gives, nested ones included.
    pub(crate) width: usize,
}

#[derive(Debug)]
pub(crate) enum IterationPlan {
    None,
    ForEach(Expr),
    ForEachOrNull(Expr),
    Repeat(Vec<Expr>),
}

/// One column: its expression and its place in the row.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    pub(crate) expr: Expr,
    /// What gives the same as the expression, faster.
    pub(crate) value: Value,
    pub(crate) index: usize,
}

/// What a column is made of by fast steps. Places are numbered within a context, and 0 is the context itself.
#[derive(Debug)]
pub(crate) enum Value {
    /// The nodes of a place.
    Nodes(usize),
    /// Their texts as one, with a separator.
    Join(usize, Option<TextRef>),
    /// Whether there are some, or none.
    Exists(usize, bool),
    /// How many there are.
    Count(usize),
    /// The ids of references.
    Keys {
        place: usize,
        reference: EdgeId,
        wanted: Option<String>,
    },
    /// No fast step fits: the interpreter evaluates the expression.
    General,
}

/// A collection of nodes that columns of one context read.
#[derive(Debug, PartialEq)]
pub(crate) struct Place {
    /// The place that it begins at: an earlier one.
    pub(crate) from: usize,
    pub(crate) hop: Hop,
    /// Whether only the first node is wanted.
    pub(crate) first: bool,
}

/// From nodes to those of their children that meet conditions.
#[derive(Debug, PartialEq)]
pub(crate) struct Hop {
    /// Several are those of a choice element.
    pub(crate) edges: Vec<EdgeId>,
    pub(crate) conditions: Vec<Condition>,
}

/// What a node must meet; never an error.
#[derive(Debug, PartialEq)]
pub(crate) enum Condition {
    /// There is one child of this edge, and it is this text.
    Is(EdgeId, TextRef),
    /// Some node is at the end of these hops.
    Exists(Vec<Hop>),
}

/// Which resource a path starts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// The resource that bare paths are about.
    Context,
    Current,
    Previous,
}

/// Something that the store knows of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetaField {
    Ts,
    Cts,
    Status,
    Txid,
    /// The day of the change, in UTC.
    Today,
    /// The time of day of the change, in UTC.
    TimeOfDay,
}

/// An expression: evaluated in a scope, it gives a collection.
#[derive(Debug)]
pub(crate) enum Expr {
    Empty,
    Literal(Item),
    /// `$this`: the item at hand.
    This,
    /// `%context`: what the whole expression is evaluated on.
    Context,
    Root(Root),
    RowIndex,
    Index,
    Meta(MetaField),
    Path(Box<Expr>, Vec<Step>),
    Logic(Logic, Box<[Expr; 2]>),
    Compare(Comparison, Box<[Expr; 2]>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    Concatenate(Box<[Expr; 2]>),
    /// Both collections, without duplicates where `distinct` says so.
    Union {
        distinct: bool,
        operands: Box<[Expr; 2]>,
    },
    /// Those of the left that are, or are not, in the right.
    Filter {
        keep: bool,
        operands: Box<[Expr; 2]>,
    },
    /// Whether the left is a member of the right.
    In(Box<[Expr; 2]>),
    Negative(Box<Expr>),
    If(Box<[Expr; 3]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
    Implies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Div,
    Mod,
}

/// One step of a path.
#[derive(Debug)]
pub(crate) enum Step {
    Child(FieldId),
    /// The children of any of these fields, in document order: a choice element.
    AnyChild(Box<[FieldId]>),
    First,
    Last,
    Tail,
    Single,
    Skip(Expr),
    Take(Expr),
    At(Expr),
    Where(Expr),
    /// `where(field = 'text')`, the condition that most views use.
    WhereField(FieldId, TextRef),
    Select(Expr),
    Repeat(Expr),
    All(Expr),
    Exists,
    Empty,
    Count,
    Not,
    Distinct,
    IsDistinct,
    /// Whether all, or any, of the items are true, or false.
    Truths {
        any: bool,
        wanted: bool,
    },
    OfType(TypeTest),
    Is(TypeTest),
    HasValue,
    /// The resources that references name.
    Resolve,
    ResourceKey(FieldId),
    ReferenceKey {
        reference: FieldId,
        wanted: Option<String>,
    },
    Boundary {
        bound: Bound,
        start: FieldId,
        end: FieldId,
        precision: Option<Expr>,
    },
    Join(Option<Expr>),
    Text(TextFunction, Vec<Expr>),
    Matches(usize),
    ReplaceMatches(usize, Expr),
    Convert {
        to: Conversion,
        test: bool,
    },
    Number(NumberFunction, Option<Expr>),
}

/// A type that an item is asked for.
#[derive(Debug)]
pub(crate) struct TypeTest {
    pub(crate) info: &'static TypeInfo,
    /// Whether the type is FHIRPath's own, which no node of a resource has.
    pub(crate) system: bool,
    /// The field `resourceType`, which tells the type of a resource within a resource.
    pub(crate) resource_type: FieldId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFunction {
    StartsWith,
    EndsWith,
    Contains,
    Replace,
    Substring,
    Length,
    Upper,
    Lower,
    Trim,
    Chars,
    Split,
    IndexOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    String,
    Integer,
    Decimal,
    Boolean,
    Date,
    DateTime,
    Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberFunction {
    Abs,
    Ceiling,
    Floor,
    Truncate,
    Round,
}
