//! Which failure means what: by Spark's error class and SQLSTATE for statements, by status and name for answers.
//!
//! Never by the HTTP status of a statement, which is 200 when it fails (W 4.3), and never by words of free text but
//! for the few that the service has no code for.

use std::time::Duration;

use lakefeed_plugin_api::{Category, Retry};

use crate::error::{Failure, Refused};

/// How long to wait for a table that is gone to come back.
const ABSENT: Duration = Duration::from_secs(5);

/// What a failure means to the host and to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What went wrong.
    pub category: Category,
    /// The stable code.
    pub code: &'static str,
    /// What to do.
    pub hint: &'static str,
    /// What helps, where the category's own answer does not.
    pub retry: Option<Retry>,
    /// How long to wait first, unless the service says.
    pub wait: Option<Duration>,
    /// Whether what was asked for may have been done.
    pub is_outcome_unknown: bool,
}

impl Ruling {
    /// A ruling with the category's own remedy.
    #[must_use]
    pub const fn new(category: Category, code: &'static str, hint: &'static str) -> Self {
        Self {
            category,
            code,
            hint,
            retry: None,
            wait: None,
            is_outcome_unknown: false,
        }
    }

    const fn unknown(mut self) -> Self {
        self.is_outcome_unknown = true;
        self
    }
}

const REFUSED_TOKEN: Ruling = Ruling::new(
    Category::AuthExpired,
    "DBX-002",
    "see that the service principal is in the workspace and its secret is current",
);
const DENIED: Ruling = Ruling::new(
    Category::AuthDenied,
    "DBX-003",
    "`lakefeed check --connect` prints the GRANT that is missing",
);
const AGAIN: Ruling = Ruling::new(
    Category::RemoteUnavailable,
    "DBX-004",
    "it is tried again by itself",
);
const SLOWER: Ruling = Ruling::new(Category::Throttled, "DBX-005", "it is tried again by itself");
const NO_WAREHOUSE: Ruling = Ruling::new(
    Category::ConfigInvalid,
    "DBX-007",
    "correct `databricksWarehouseId`",
);
const NOT_FOUND: Ruling = Ruling::new(
    Category::ConfigInvalid,
    "DBX-008",
    "correct the name, or grant the right to see it",
);
const REFUSED: Ruling = Ruling::new(
    Category::TargetUnsupported,
    "DBX-009",
    "look up the code that the service answered",
);
const NO_TABLE: Ruling = Ruling {
    category: Category::RemoteUnavailable,
    code: "DBX-020",
    hint: "create the table again, or grant USE SCHEMA and SELECT on it; delivery goes on by itself",
    retry: Some(Retry::After),
    wait: Some(ABSENT),
    is_outcome_unknown: false,
};
const COLUMNS: Ruling = Ruling::new(Category::SchemaMismatch, "DBX-021", "missing columns are added");
const VALUE: Ruling = Ruling::new(Category::DataRejected, "DBX-022", "correct the resource");
const RACE: Ruling = Ruling::new(
    Category::RemoteUnavailable,
    "DBX-023",
    "it is tried again by itself",
);
// The table is looked at first, so that what is told names the column, its types and the statement that mends it.
const TYPES: Ruling = Ruling {
    category: Category::SchemaIncompatible,
    code: "DBX-024",
    hint: "change the view, or write to another table",
    retry: Some(Retry::EvolveThenRetry),
    wait: None,
    is_outcome_unknown: false,
};
const NO_SCHEMA: Ruling = Ruling::new(
    Category::ConfigInvalid,
    "DBX-025",
    "create it, or grant USE CATALOG and USE SCHEMA",
);
const OVERLAP: Ruling = Ruling::new(
    Category::ConfigInvalid,
    "DBX-026",
    "set `stagingTablePath` to a sub-folder of the external location, not to its root or the schema's",
);
const STALE_LOG: Ruling = Ruling::new(
    Category::StagingConflict,
    "DBX-027",
    "set `stagingTablePath` to a fresh folder, or remove the old files",
);
const EXISTS: Ruling = Ruling::new(Category::ConfigInvalid, "DBX-028", "choose another name");
const NO_EXTERNAL_ACCESS: Ruling = Ruling::new(
    Category::AuthDenied,
    "DBX-029",
    "a metastore admin switches External Data Access on, in the account console",
);

/// What Spark's classes mean (W 4.9); the first row whose class begins the failure's counts.
const CLASSES: [(&str, Ruling); 32] = [
    ("TABLE_OR_VIEW_NOT_FOUND", NO_TABLE),
    ("DELTA_TABLE_NOT_FOUND", NO_TABLE),
    ("SCHEMA_NOT_FOUND", NO_SCHEMA),
    ("NO_SUCH_CATALOG_EXCEPTION", NO_SCHEMA),
    ("CATALOG_NOT_FOUND", NO_SCHEMA),
    ("UNRESOLVED_COLUMN", COLUMNS),
    ("DELTA_INSERT_COLUMN_ARITY_MISMATCH", COLUMNS),
    ("INSERT_COLUMN_ARITY_MISMATCH", COLUMNS),
    ("DELTA_METADATA_MISMATCH", COLUMNS),
    ("DELTA_MERGE_UNRESOLVED_EXPRESSION", COLUMNS),
    ("DELTA_INSERT_COLUMN_MISMATCH", COLUMNS),
    ("INCOMPATIBLE_DATA_FOR_TABLE", TYPES),
    ("DELTA_FAILED_TO_MERGE_FIELDS", TYPES),
    ("DATATYPE_MISMATCH", TYPES),
    ("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", VALUE),
    ("NOT_NULL_CONSTRAINT_VIOLATION", VALUE),
    ("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", VALUE),
    ("CAST_INVALID_INPUT", VALUE),
    ("CAST_OVERFLOW", VALUE),
    // One value that the parser does not take is found by halving, and stops nothing else.
    ("PARSE_SYNTAX_ERROR", VALUE),
    ("INVALID_TYPED_LITERAL", VALUE),
    ("DELTA_CONCURRENT", RACE),
    ("INSUFFICIENT_PERMISSIONS", DENIED),
    ("PERMISSION_DENIED", DENIED),
    ("INVALID_PARAMETER_VALUE.LOCATION_OVERLAP", OVERLAP),
    ("LOCATION_OVERLAP", OVERLAP),
    ("DELTA_CREATE_TABLE_SCHEME_MISMATCH", STALE_LOG),
    ("TABLE_OR_VIEW_ALREADY_EXISTS", EXISTS),
    ("FIELD_ALREADY_EXISTS", EXISTS),
    ("FIELDS_ALREADY_EXISTS", EXISTS),
    ("COLUMN_ALREADY_EXISTS", EXISTS),
    ("DELTA_DUPLICATE_COLUMNS_FOUND", EXISTS),
];

/// What SQLSTATEs mean, for classes that the table above does not have.
const STATES: [(&str, Ruling); 17] = [
    ("42P01", NO_TABLE),
    ("42704", NO_SCHEMA),
    ("42703", COLUMNS),
    ("42802", COLUMNS),
    ("21S01", COLUMNS),
    ("42KDG", COLUMNS),
    ("42KD7", STALE_LOG),
    ("42P07", EXISTS),
    ("42710", EXISTS),
    ("42711", EXISTS),
    ("42501", DENIED),
    ("KD000", TYPES),
    ("2D521", RACE),
    ("22", VALUE),
    ("23", VALUE),
    ("2D", RACE),
    ("40", RACE),
];

/// What a failed statement means.
#[must_use]
pub fn statement(failure: &Failure) -> Ruling {
    let by_class = CLASSES.iter().find(|(class, _)| is_class(&failure.class, class));
    if let Some((_, ruling)) = by_class {
        return *ruling;
    }
    match failure.error_code.as_str() {
        "UNAUTHENTICATED" => return REFUSED_TOKEN,
        "TEMPORARILY_UNAVAILABLE" | "WORKSPACE_TEMPORARILY_UNAVAILABLE" | "SERVICE_UNDER_MAINTENANCE" => {
            return AGAIN;
        }
        "RESOURCE_EXHAUSTED" => return SLOWER,
        "ABORTED" | "CANCELLED" | "DEADLINE_EXCEEDED" | "INTERNAL_ERROR" | "IO_ERROR" | "UNKNOWN" => {
            return AGAIN.unknown();
        }
        _ => {}
    }
    let by_state = STATES
        .iter()
        .find(|(state, _)| failure.sql_state.starts_with(state));
    by_state.map_or(REFUSED, |(_, ruling)| *ruling)
}

/// `DELTA_CONCURRENT` stands for every class that begins so; others for themselves and their sub-classes.
fn is_class(class: &str, row: &str) -> bool {
    match class.strip_prefix(row) {
        Some("") => true,
        Some(rest) => rest.starts_with('.') || row == "DELTA_CONCURRENT",
        None => false,
    }
}

/// What an answer means that is no success (W 4.8, 5.4, 7).
#[must_use]
pub fn answer(answer: &Refused) -> Ruling {
    let says = |word: &str| answer.message.contains(word);
    if is_token_refused(answer) {
        return REFUSED_TOKEN;
    }
    if answer.reason == "EXTERNAL_ACCESS_DISABLED_ON_METASTORE"
        || says("External Data Access from non Databricks")
    {
        return NO_EXTERNAL_ACCESS;
    }
    if answer.reason == "LOCATION_OVERLAP" {
        return OVERLAP;
    }
    match (answer.status, answer.code.as_str()) {
        (_, code) if code.ends_with("_ALREADY_EXISTS") => EXISTS,
        (401, "UNITY_CATALOG_EXTERNAL_GENERATE_TABLE_CREDENTIALS_DENIED")
        | (401, "UNITY_CATALOG_EXTERNAL_GENERATE_PATH_CREDENTIALS_DENIED")
        | (403, _) => DENIED,
        (400, "INVALID_PARAMETER_VALUE") if says("is not a valid endpoint id") => NO_WAREHOUSE,
        (400 | 404, "RESOURCE_DOES_NOT_EXIST") if says("arehouse") => NO_WAREHOUSE,
        (404, "TABLE_DOES_NOT_EXIST") => NO_TABLE,
        (404, "SCHEMA_DOES_NOT_EXIST" | "CATALOG_DOES_NOT_EXIST") => NO_SCHEMA,
        (404, _) => NOT_FOUND,
        (429, _) => SLOWER,
        (503, _) => AGAIN,
        (500.., "NOT_IMPLEMENTED") | (501, _) => REFUSED,
        (500.., _) | (408, _) => AGAIN.unknown(),
        _ => REFUSED,
    }
}

/// Whether a fresh token may help: 401, or the 403 whose code is a number (W 4.8).
#[must_use]
pub fn is_token_refused(answer: &Refused) -> bool {
    let is_vending = answer.code.starts_with("UNITY_CATALOG_EXTERNAL");
    (answer.status == 401 && !is_vending)
        || (answer.status == 403 && (answer.code == "403" || answer.message.contains("Invalid access token")))
}

/// The class in the brackets that a statement's message begins with; empty if there is none.
#[must_use]
pub fn class_of(message: &str) -> &str {
    let inside = message
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    inside.map_or("", |(class, _)| plain_code(class))
}

/// A code if it is one (capitals, digits, `_` and `.`), nothing otherwise: a message may hold it then.
#[must_use]
pub fn plain_code(code: &str) -> &str {
    let is_plain =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    if code.len() <= 128 && code.bytes().all(is_plain) {
        code
    } else {
        ""
    }
}

/// A request's or statement's id if it is one, nothing otherwise.
#[must_use]
pub fn plain_id(id: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.len() <= 128 && id.bytes().all(is_plain) {
        id
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_statement(class: &str, state: &str, code: &str) -> String {
        let ruling = statement(&Failure {
            class: class.into(),
            sql_state: state.into(),
            error_code: code.into(),
            ..Failure::default()
        });
        format!("{} {}", ruling.code, ruling.category.name())
    }

    #[test]
    fn statements_are_told_apart_by_class_and_state() {
        let cases = [
            ("TABLE_OR_VIEW_NOT_FOUND", "42P01", "DBX-020 remote.unavailable"),
            (
                "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                "42703",
                "DBX-021 schema.mismatch",
            ),
            (
                "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION",
                "",
                "DBX-021 schema.mismatch",
            ),
            (
                "DELTA_INSERT_COLUMN_ARITY_MISMATCH",
                "42802",
                "DBX-021 schema.mismatch",
            ),
            (
                "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS",
                "21S01",
                "DBX-021 schema.mismatch",
            ),
            ("DELTA_METADATA_MISMATCH", "42KDG", "DBX-021 schema.mismatch"),
            (
                "DELTA_MERGE_UNRESOLVED_EXPRESSION",
                "42601",
                "DBX-021 schema.mismatch",
            ),
            (
                "DELTA_NOT_NULL_CONSTRAINT_VIOLATED",
                "23502",
                "DBX-022 data.rejected",
            ),
            ("CAST_INVALID_INPUT", "22018", "DBX-022 data.rejected"),
            ("", "22003", "DBX-022 data.rejected"),
            ("PARSE_SYNTAX_ERROR", "42601", "DBX-022 data.rejected"),
            ("DELTA_CONCURRENT_APPEND", "2D521", "DBX-023 remote.unavailable"),
            (
                "DELTA_CONCURRENT_DELETE_READ.WITHOUT_HINT",
                "",
                "DBX-023 remote.unavailable",
            ),
            (
                "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
                "KD000",
                "DBX-024 schema.incompatible",
            ),
            ("INSUFFICIENT_PERMISSIONS", "42501", "DBX-003 auth.denied"),
            ("SCHEMA_NOT_FOUND", "42704", "DBX-025 config.invalid"),
            (
                "INVALID_PARAMETER_VALUE.LOCATION_OVERLAP",
                "",
                "DBX-026 config.invalid",
            ),
            (
                "DELTA_CREATE_TABLE_SCHEME_MISMATCH",
                "42KD7",
                "DBX-027 staging.conflict",
            ),
            ("TABLE_OR_VIEW_ALREADY_EXISTS", "42P07", "DBX-028 config.invalid"),
            ("FIELD_ALREADY_EXISTS", "", "DBX-028 config.invalid"),
            ("DIVIDE_BY_ZERO", "22012", "DBX-022 data.rejected"),
            ("SOMETHING_NEW", "42000", "DBX-009 target.unsupported"),
        ];
        for (class, state, expect) in cases {
            assert_eq!(
                of_statement(class, state, "BAD_REQUEST"),
                expect,
                "{class} {state}"
            );
        }
        assert_eq!(
            of_statement("", "", "TEMPORARILY_UNAVAILABLE"),
            "DBX-004 remote.unavailable"
        );
        assert_eq!(of_statement("", "", "UNAUTHENTICATED"), "DBX-002 auth.expired");
    }

    #[test]
    fn answers_are_told_apart_by_status_and_name() {
        let check = |status: u16, code: &str, reason: &str, message: &str, expect: &str| {
            let ruling = answer(&Refused {
                status,
                code: code.into(),
                reason: reason.into(),
                message: message.into(),
                ..Refused::default()
            });
            assert_eq!(ruling.code, expect, "{status} {code} {message}");
        };
        check(401, "", "", "", "DBX-002");
        check(403, "403", "", "Invalid access token. [ReqId: x]", "DBX-002");
        check(
            403,
            "PERMISSION_DENIED",
            "",
            "You do not have permission to use the SQL Warehouse.",
            "DBX-003",
        );
        check(
            403,
            "PERMISSION_DENIED",
            "EXTERNAL_ACCESS_DISABLED_ON_METASTORE",
            "",
            "DBX-029",
        );
        check(
            401,
            "UNITY_CATALOG_EXTERNAL_GENERATE_TABLE_CREDENTIALS_DENIED",
            "",
            "",
            "DBX-003",
        );
        check(
            400,
            "INVALID_PARAMETER_VALUE",
            "",
            "nosuch is not a valid endpoint id.",
            "DBX-007",
        );
        check(
            400,
            "INVALID_PARAMETER_VALUE",
            "LOCATION_OVERLAP",
            "Input path …",
            "DBX-026",
        );
        check(404, "TABLE_DOES_NOT_EXIST", "", "", "DBX-020");
        check(404, "", "", "", "DBX-008");
        check(429, "REQUEST_LIMIT_EXCEEDED", "", "", "DBX-005");
        check(503, "TEMPORARILY_UNAVAILABLE", "", "", "DBX-004");
        check(504, "", "", "DEADLINE_EXCEEDED: Deadline exceeded", "DBX-004");
        check(502, "", "", "<html>", "DBX-004");
        check(400, "BAD_REQUEST", "", "", "DBX-009");
        check(
            400,
            "TABLE_ALREADY_EXISTS",
            "RESOURCE_ALREADY_EXISTS",
            "",
            "DBX-028",
        );
    }

    #[test]
    fn a_class_is_read_from_the_brackets_and_nothing_else_is() {
        assert_eq!(
            class_of("[PARSE_SYNTAX_ERROR] Syntax error at 'Jane'"),
            "PARSE_SYNTAX_ERROR"
        );
        assert_eq!(class_of("[A.B] x"), "A.B");
        assert_eq!(class_of("[Jane Doe] x"), "");
        assert_eq!(class_of("no class"), "");
    }
}
