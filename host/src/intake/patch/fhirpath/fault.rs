//! What may be wrong with an operation of a FHIRPath patch.

use lakefeed_view::place::PathError;

/// Why an operation is none, or does not fit the resource. Says what and what to do, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// PATCH-010. The patch is not built as one.
    #[error(
        "a FHIRPath patch is Parameters whose `parameter`s are named `operation` and have a `part` with a list of named values [PATCH-010]"
    )]
    Shape,
    /// PATCH-011. There is no such operation.
    #[error("`type` is a code: add, insert, delete, replace or move [PATCH-011]")]
    Type,
    /// PATCH-012. The operation lacks what it must have.
    #[error("there is no `{part}` that is {form}; this type of operation must have one [PATCH-012]")]
    Missing {
        /// The part's name.
        part: &'static str,
        /// What it is.
        form: &'static str,
    },
    /// PATCH-013. There is more than the operation can have.
    #[error("this type of operation has `type` and {takes}, each once, and no other part [PATCH-013]")]
    Superfluous {
        /// What it has.
        takes: &'static str,
    },
    /// PATCH-014. The value cannot be read.
    #[error(
        "a value is one `value[x]` of a type that R4 lets Parameters have, one `resource`, or `part`s that each have a `name` and a value [PATCH-014]"
    )]
    Value,
    /// PATCH-015. The path cannot be followed.
    #[error("the path cannot be followed: {0} [PATCH-015]")]
    Path(PathError),
    /// PATCH-016. The path names no list.
    #[error("the path must end in the name of the list, such as `Patient.name` [PATCH-016]")]
    NoName,
    /// PATCH-017. The path selects nothing.
    #[error(
        "the path selects no element that the resource has; mend it, or add the element first [PATCH-017]"
    )]
    Nothing,
    /// PATCH-018. The path selects too much.
    #[error(
        "the path selects several elements where one belongs; narrow it by a position, as in `[0]`, or by `where(…)` [PATCH-018]"
    )]
    Several,
    /// PATCH-019. There is no such element.
    #[error("`{name}` is no element of {owner}{} [PATCH-019]", suggest(*.nearest))]
    Unknown {
        /// The name.
        name: String,
        /// The type.
        owner: &'static str,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// PATCH-020. A choice is named as JSON spells it.
    #[error(
        "`{name}` is how JSON spells it; a path has `{element}.ofType({of})`, and what is added is named `{element}` [PATCH-020]"
    )]
    JsonSpelling {
        /// The key.
        name: String,
        /// The element.
        element: &'static str,
        /// The type that the key stands for.
        of: &'static str,
    },
    /// PATCH-021. The element is there already.
    #[error("the element may be there once and is there already; use `replace` [PATCH-021]")]
    Present,
    /// PATCH-022. The element is no list.
    #[error("the element does not repeat, so it has no positions; use `add` or `replace` [PATCH-022]")]
    NoList,
    /// PATCH-023. A position is not there.
    #[error("a position lies beyond the end of the list; positions count from 0 [PATCH-023]")]
    Position,
    /// PATCH-024. The value is of a type that the element cannot have.
    #[error("the value is of a type that the element does not take; it takes {takes} [PATCH-024]")]
    OtherType {
        /// The types that it takes.
        takes: String,
    },
    /// PATCH-025. The path selects the resource.
    #[error("the path selects the resource itself; PUT or DELETE that [PATCH-025]")]
    Whole,
    /// PATCH-026. The resource would become too deep.
    #[error("the resource would nest too deep [PATCH-026]")]
    TooDeep,
    /// PATCH-027. The patch looks at too much.
    #[error(
        "the patch looks at too many elements by now; send fewer operations at once, or paths with positions instead of `where(…)` [PATCH-027]"
    )]
    TooCostly,
}

impl Fault {
    /// Whether the operation is wrong whatever the resource is.
    pub(in crate::intake::patch) fn is_of_the_patch(&self) -> bool {
        matches!(
            self,
            Self::Shape
                | Self::Type
                | Self::Missing { .. }
                | Self::Superfluous { .. }
                | Self::Value
                | Self::Path(_)
                | Self::NoName
        )
    }
}

fn suggest(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`"))
}
