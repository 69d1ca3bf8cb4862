//! What is known, before any resource, of the collection that an expression gives.

use crate::program::TextKind;
use crate::r4::{self, TypeInfo};
use crate::trie::TrieId;

/// The types that items may have, and where in the trie they come from. Without alternatives it is always empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alternative {
    pub(super) known: Known,
    /// Where nodes come from; none for computed values, and for a resolved resource of which no type is known yet.
    pub(super) place: Option<TrieId>,
    /// What a reference may point at; empty for other types, and where nobody says.
    pub(super) targets: &'static [&'static str],
    /// How many references were resolved on the way here.
    pub(super) hops: usize,
}

impl Alternative {
    fn new(known: Known, place: Option<TrieId>) -> Self {
        Self {
            known,
            place,
            targets: &[],
            hops: 0,
        }
    }

    /// Whether it is a resource that a reference was resolved to; the reference alone says of which type.
    pub(super) fn is_resolved(&self) -> bool {
        self.hops > 0 && matches!(self.known, Known::Fhir(info) if info.is_resource() || info.is_open())
    }

    /// Whether it is a resource that was resolved, and may be of any type.
    pub(super) fn is_untyped(&self) -> bool {
        self.is_resolved() && self.place.is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    /// Nothing is known: every path is accepted.
    Any,
    Fhir(&'static TypeInfo),
    /// A literal or a computed value.
    System(Basic),
}

/// How values behave in operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basic {
    Any,
    Boolean,
    Integer,
    Decimal,
    String,
    Date,
    DateTime,
    Time,
    Complex,
}

impl Basic {
    pub(super) fn of_info(info: &TypeInfo) -> Self {
        if !info.is_primitive() {
            return Self::Complex;
        }
        match info.name() {
            "boolean" => Self::Boolean,
            "integer" | "positiveInt" | "unsignedInt" | "integer64" => Self::Integer,
            "decimal" => Self::Decimal,
            "date" => Self::Date,
            "dateTime" | "instant" => Self::DateTime,
            "time" => Self::Time,
            _ => Self::String,
        }
    }

    /// The FHIR type of a computed value.
    pub(super) fn fhir_type(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::DateTime => "dateTime",
            Self::Time => "time",
            Self::Any | Self::String | Self::Complex => "string",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Date | Self::DateTime | Self::Time)
    }
}

impl Known {
    pub(super) fn basic(self) -> Basic {
        match self {
            Self::Any => Basic::Any,
            Self::Fhir(info) => Basic::of_info(info),
            Self::System(basic) => basic,
        }
    }

    /// The FHIR type, as messages and columns name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Fhir(info) => info.name(),
            Self::System(basic) => basic.fhir_type(),
        }
    }

    /// Whether a value is of a type, as far as is known.
    pub(super) fn is_a(self, info: &'static TypeInfo) -> bool {
        match self {
            Self::Any => true,
            Self::Fhir(own) => own.is_a(info.name()),
            Self::System(basic) => r4::type_named(basic.fhir_type()).is_some_and(|own| own.is_a(info.name())),
        }
    }
}

impl Shape {
    pub(super) fn system(basic: Basic) -> Self {
        Self {
            alternatives: vec![Alternative::new(Known::System(basic), None)],
        }
    }

    pub(super) fn fhir(info: &'static TypeInfo, place: TrieId) -> Self {
        Self {
            alternatives: vec![Alternative::new(Known::Fhir(info), Some(place))],
        }
    }

    pub(super) fn any(place: Option<TrieId>) -> Self {
        Self {
            alternatives: vec![Alternative::new(Known::Any, place)],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.alternatives.is_empty()
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        for alternative in other.alternatives {
            if !self.alternatives.contains(&alternative) {
                self.alternatives.push(alternative);
            }
        }
        self
    }

    /// The one way in which all items behave, if there is one.
    pub(super) fn basic(&self) -> Option<Basic> {
        let mut basics = self
            .alternatives
            .iter()
            .map(|alternative| alternative.known.basic());
        let first = basics.next()?;
        basics.all(|basic| basic == first).then_some(first)
    }

    /// Whether some item may behave in a way that passes the test.
    pub(super) fn may(&self, test: impl Fn(Basic) -> bool) -> bool {
        self.is_empty()
            || self
                .alternatives
                .iter()
                .any(|one| one.known.basic() == Basic::Any || test(one.known.basic()))
    }

    /// The names of the types, for messages.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.alternatives.iter().map(|one| one.known.name()).collect();
        names.dedup();
        names
    }

    /// `a string`, `a boolean or dateTime`
    pub(super) fn described(&self) -> String {
        if self.is_empty() {
            return "nothing".to_owned();
        }
        let mut names = self.names();
        let more = names.len() > 4;
        names.truncate(4);
        let article = if names[0].starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) {
            "an"
        } else {
            "a"
        };
        format!("{article} {}{}", names.join(" or "), if more { " …" } else { "" })
    }
}

/// What texts of a type mean.
pub(super) fn text_kind(info: &TypeInfo) -> TextKind {
    match Basic::of_info(info) {
        Basic::Date => TextKind::Date,
        Basic::DateTime => TextKind::DateTime,
        Basic::Time => TextKind::Time,
        _ => TextKind::String,
    }
}
