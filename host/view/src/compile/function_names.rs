//! Which functions there are, and what to write instead of one that is not here.

use super::Mode;
use crate::suggest;

/// Every function that is evaluated, in views and in criteria.
const FUNCTIONS: [&str; 76] = [
    "where",
    "exists",
    "empty",
    "extension",
    "ofType",
    "first",
    "not",
    "join",
    "lowBoundary",
    "highBoundary",
    "getResourceKey",
    "getReferenceKey",
    "all",
    "count",
    "last",
    "skip",
    "take",
    "tail",
    "single",
    "distinct",
    "isDistinct",
    "iif",
    "select",
    "repeat",
    "is",
    "as",
    "union",
    "combine",
    "intersect",
    "exclude",
    "hasValue",
    "getValue",
    "allTrue",
    "anyTrue",
    "allFalse",
    "anyFalse",
    "subsetOf",
    "supersetOf",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "replace",
    "replaceMatches",
    "substring",
    "length",
    "upper",
    "lower",
    "trim",
    "split",
    "indexOf",
    "toChars",
    "toString",
    "toInteger",
    "toDecimal",
    "toBoolean",
    "toDate",
    "toDateTime",
    "toTime",
    "convertsToString",
    "convertsToInteger",
    "convertsToDecimal",
    "convertsToBoolean",
    "convertsToDate",
    "convertsToDateTime",
    "convertsToTime",
    "abs",
    "ceiling",
    "floor",
    "truncate",
    "round",
    "trace",
    "getAidboxTs",
    "getAidboxCts",
    "getAidboxStatus",
    "getAidboxTxid",
];
/// Those that a criterion has besides.
const OF_CRITERIA: [&str; 4] = ["resolve", "now", "today", "timeOfDay"];

/// What to write instead of a function that FHIRPath has and this engine has not, or that other languages have.
const SUBSTITUTES: [(&str, &str); 44] = [
    (
        "resolve",
        "a view sees one resource; use `getReferenceKey()` and join in SQL",
    ),
    (
        "today",
        "rows must not depend on when they are made; compare with the date in SQL",
    ),
    (
        "now",
        "rows must not depend on when they are made; compare with the time in SQL",
    ),
    (
        "timeOfDay",
        "rows must not depend on when they are made; compare with the time in SQL",
    ),
    ("aggregate", "use `count()` or `join()`, or aggregate in SQL"),
    (
        "memberOf",
        "value sets are not at hand; test the code itself, or join in SQL",
    ),
    ("subsumes", "code systems are not at hand; test the code itself"),
    ("subsumedBy", "code systems are not at hand; test the code itself"),
    ("conformsTo", "profiles are not at hand; test `meta.profile`"),
    ("children", "name the elements that are meant"),
    (
        "descendants",
        "name the elements that are meant; `repeat(item)` goes down one of them at every depth",
    ),
    ("repeatAll", "use `repeat()`"),
    ("htmlChecks", "remove it"),
    ("getId", "use `getReferenceKey()`"),
    ("id", "leave the brackets out: `id`"),
    ("toQuantity", "use `.value` of the quantity"),
    ("convertsToQuantity", "test `.value` of the quantity"),
    ("comparable", "compare `.unit` or `.code` of the two quantities"),
    ("elementDefinition", "remove it"),
    ("type", "ask with `is`: `value is Quantity`"),
    ("sqrt", "compute it in SQL"),
    ("exp", "compute it in SQL"),
    ("ln", "compute it in SQL"),
    ("log", "compute it in SQL"),
    ("power", "multiply, or compute it in SQL"),
    (
        "sum",
        "give every number a row with `forEach`, and add them up in SQL",
    ),
    (
        "min",
        "give every number a row with `forEach`, and take the least in SQL",
    ),
    (
        "max",
        "give every number a row with `forEach`, and take the greatest in SQL",
    ),
    (
        "avg",
        "give every number a row with `forEach`, and take the mean in SQL",
    ),
    ("sort", "order the rows in SQL"),
    (
        "defineVariable",
        "write the expression out, or a fixed value under `constant`",
    ),
    (
        "concat",
        "join texts by `&`, or the items of a list by `.join(', ')`",
    ),
    ("coalesce", "use `iif(a.exists(), a, b)`"),
    (
        "substr",
        "use `substring(start, length)`; the first character is number 0",
    ),
    ("toUpperCase", "use `upper()`"),
    ("toLowerCase", "use `lower()`"),
    ("size", "use `count()` for items, `length()` for characters"),
    ("len", "use `count()` for items, `length()` for characters"),
    ("includes", "use `contains()`"),
    ("isNull", "use `empty()`"),
    ("isNotNull", "use `exists()`"),
    ("filter", "use `where()`"),
    ("map", "use `select()`"),
    (
        "changed",
        "compare the two versions: `%current.active != %previous.active`",
    ),
];

/// Whether a function of this name is evaluated, in views at least.
pub(super) fn is_known(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// What to write instead of a function that is not here.
pub(super) fn instead_of(name: &str, mode: Mode) -> String {
    if let Some((_, remedy)) = SUBSTITUTES.iter().find(|(known, _)| *known == name) {
        let sql = mode == Mode::Criterion && remedy.contains("SQL");
        let remedy = if sql {
            "leave it out of the criterion, and filter the rows in SQL"
        } else {
            remedy
        };
        return remedy.to_owned();
    }
    let more: &[&str] = match mode {
        Mode::View => &[],
        Mode::Criterion => &OF_CRITERIA,
    };
    let known = FUNCTIONS.iter().chain(more).copied();
    suggest::nearest(name, known).map_or_else(
        || "use one of FHIRPath's own functions, such as `where()`, `exists()` or `first()`".to_owned(),
        |near| format!("did you mean `{near}()`"),
    )
}
