//! The routes, a row each: what a request may bring and what it is answered.

/// What a request's body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Takes {
    Nothing,
    Resource,
    Destination,
    Bundle,
    Parameters,
    Patch,
    Form,
    Load,
    Medplum,
    Token,
}

/// What an answer's body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    Nothing,
    Resource,
    Bundle,
    Parameters,
    Outcome,
    Json,
    Token,
    NoToken,
    Rows,
    Text(&'static str),
}

/// A method of a path.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) takes: Takes,
    /// Name, schema and meaning.
    pub(super) query: &'static [(&'static str, &'static str, &'static str)],
    /// Name and meaning.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) answers: &'static [(u16, Gives)],
}

/// What any request may be answered: a bad request, no credentials, no right, nothing there, a method or a format
/// that is not served, too long a head, a failure of ours, not now.
pub(super) const ANYWHERE: &[u16] = &[400, 401, 403, 404, 405, 406, 408, 414, 431, 500, 503];

/// What a request with a body may be answered besides.
pub(super) const WRITES: &[u16] = &[409, 411, 412, 413, 415, 422, 507];

const SEARCH: &[(&str, &str, &str)] = &[
    ("_id", "Text", "ids, with commas between them"),
    ("identifier", "Text", "`value`, `|value` or `system|value`"),
    (
        "_lastUpdated",
        "Text",
        "a date with a prefix, such as `ge2026-01-01`",
    ),
    ("_sort", "Text", "`_id`, `_lastUpdated` or `-_lastUpdated`"),
    ("_count", "Count", "resources on a page, at most 1000"),
    ("_page", "Count", "the page, from 1"),
    ("_elements", "Text", "the elements that are answered"),
];

const HISTORY: &[(&str, &str, &str)] = &[
    ("_count", "Count", "versions on a page, at most 1000"),
    ("_since", "Text", "an instant: versions made then or later"),
    (
        "_at",
        "Text",
        "an instant or a date: versions that were current at some time of it",
    ),
    ("_txid", "Text", "a version number: this version"),
];

const CHANGES: &[(&str, &str, &str)] = &[
    (
        "version",
        "Text",
        "the `version` of the answer before; without one the answer is the current one alone",
    ),
    ("_count", "Count", "changes in an answer, at most 1000"),
];

const CRITERIA: &[(&str, &str, &str)] = &[
    ("_id", "Text", "the id of the resource that is meant"),
    (
        "identifier",
        "Text",
        "`value`, `|value` or `system|value` of the resource that is meant",
    ),
];

const RUN: &[(&str, &str, &str)] = &[
    ("viewReference", "Text", "the view, as `ViewDefinition/ID`"),
    ("_format", "Text", "json, ndjson, csv or parquet"),
    ("_limit", "Count", "rows at most"),
    ("_since", "Text", "an instant: resources updated then or later"),
    ("patient", "Text", "`Patient/ID`: this patient's resources"),
];

const PREFER: (&str, &str) = (
    "Prefer",
    "`return=minimal`, `representation` or `OperationOutcome`",
);
const IF_MATCH: (&str, &str) = (
    "If-Match",
    "the version that must be there: `W/\"7\"`, `7` or `*`",
);
const IF_NONE_EXIST: (&str, &str) = ("If-None-Exist", "a search that must find nothing");
const IF_NONE_MATCH: (&str, &str) = ("If-None-Match", "a version that the client has");

const CREATED: &[(u16, Gives)] = &[(200, Gives::Resource), (201, Gives::Resource)];
const DELETED: &[(u16, Gives)] = &[(200, Gives::Resource), (204, Gives::Nothing)];

macro_rules! operation {
    ($method:ident $path:literal, $summary:literal, $takes:ident, $query:expr, $headers:expr, $answers:expr) => {
        Operation {
            method: stringify!($method),
            path: $path,
            summary: $summary,
            takes: Takes::$takes,
            query: $query,
            headers: $headers,
            answers: $answers,
        }
    };
}

/// All of them.
pub(super) const OPERATIONS: &[Operation] = &[
    operation!(get "/", "a page that shows each destination", Nothing, &[], &[], &[(200, Gives::Text("text/html; charset=utf-8"))]),
    operation!(get "/health", "whether the host is well", Nothing, &[], &[], &[(200, Gives::Json), (503, Gives::Json)]),
    operation!(get "/metrics", "metrics in Prometheus' text form", Nothing, &[], &[], &[(200, Gives::Text("text/plain; version=0.0.4; charset=utf-8"))]),
    operation!(get "/plugins", "the plugins that are loaded", Nothing, &[], &[], &[(200, Gives::Json)]),
    operation!(get "/openapi.json", "this document", Nothing, &[], &[], &[(200, Gives::Json)]),
    operation!(post "/auth/token", "a bearer token for a client's name and secret", Token, &[], &[], &[(200, Gives::Token), (400, Gives::NoToken), (401, Gives::NoToken)]),
    operation!(get "/fhir/metadata", "the CapabilityStatement", Nothing, &[], &[], &[(200, Gives::Resource)]),
    operation!(post "/fhir", "a batch, a transaction, a collection or a notification", Bundle, &[], &[PREFER], &[(200, Gives::Bundle)]),
    operation!(get "/fhir/{type}", "search", Nothing, SEARCH, &[], &[(200, Gives::Bundle)]),
    operation!(post "/fhir/{type}", "create", Resource, &[], &[PREFER, IF_NONE_EXIST], CREATED),
    operation!(put "/fhir/{type}", "conditional update", Resource, CRITERIA, &[PREFER, IF_MATCH], CREATED),
    operation!(patch "/fhir/{type}", "conditional patch", Patch, CRITERIA, &[PREFER, IF_MATCH], CREATED),
    operation!(delete "/fhir/{type}", "conditional delete", Nothing, CRITERIA, &[("x-conditional-delete", "`remove-all` where several may go")], DELETED),
    operation!(post "/fhir/{type}/_search", "search by a form", Form, &[], &[], &[(200, Gives::Bundle)]),
    operation!(get "/fhir/{type}/_history", "the versions of a type's resources", Nothing, HISTORY, &[], &[(200, Gives::Bundle)]),
    operation!(get "/fhir/{type}/$changes", "what became of a type's resources since a version", Nothing, CHANGES, &[], &[(200, Gives::Json), (304, Gives::Nothing)]),
    operation!(get "/fhir/{type}/{id}", "read", Nothing, &[], &[IF_NONE_MATCH], &[(200, Gives::Resource), (304, Gives::Nothing), (410, Gives::Outcome)]),
    operation!(put "/fhir/{type}/{id}", "update, or create under this id", Resource, &[], &[PREFER, IF_MATCH, IF_NONE_MATCH], CREATED),
    operation!(patch "/fhir/{type}/{id}", "patch", Patch, &[], &[PREFER, IF_MATCH], &[(200, Gives::Resource), (410, Gives::Outcome)]),
    operation!(delete "/fhir/{type}/{id}", "delete", Nothing, &[("_no-content", "Flag", "answer nothing but 204")], &[IF_MATCH], DELETED),
    operation!(get "/fhir/{type}/{id}/_history", "a resource's versions", Nothing, HISTORY, &[], &[(200, Gives::Bundle)]),
    operation!(get "/fhir/{type}/{id}/_history/{version}", "one version", Nothing, &[], &[IF_NONE_MATCH], &[(200, Gives::Resource), (304, Gives::Nothing), (410, Gives::Outcome)]),
    operation!(post "/fhir/{type}/$load", "load NDJSON of one type", Load, &[], &[], &[(200, Gives::Json)]),
    operation!(post "/fhir/$load", "load NDJSON", Load, &[], &[], &[(200, Gives::Json)]),
    operation!(post "/fhir/$import", "begin an import", Load, &[], &[], &[(200, Gives::Json)]),
    operation!(get "/fhir/BulkImportStatus/{id}", "how far an import is", Nothing, &[], &[], &[(200, Gives::Json)]),
    operation!(post "/v2/fhir/$import", "begin an import", Load, &[], &[], &[(200, Gives::Json)]),
    operation!(get "/v2/$import/{id}", "how far an import is", Nothing, &[], &[], &[(200, Gives::Json)]),
    operation!(get "/fhir/AidboxTopicDestination", "search", Nothing, SEARCH, &[], &[(200, Gives::Bundle)]),
    operation!(post "/fhir/AidboxTopicDestination", "make a destination, table and all", Destination, &[], &[PREFER, IF_NONE_EXIST], CREATED),
    operation!(get "/fhir/AidboxTopicDestination/{id}", "read", Nothing, &[], &[IF_NONE_MATCH], &[(200, Gives::Resource), (304, Gives::Nothing), (410, Gives::Outcome)]),
    operation!(delete "/fhir/AidboxTopicDestination/{id}", "delete", Nothing, &[("_no-content", "Flag", "answer nothing but 204")], &[IF_MATCH], DELETED),
    operation!(get "/fhir/AidboxTopicDestination/{id}/$status", "what a destination has done and has to do", Nothing, &[], &[], &[(200, Gives::Parameters)]),
    operation!(post "/fhir/AidboxTopicDestination/{id}/$pause", "deliver nothing until resumed", Nothing, &[], &[], &[(200, Gives::Parameters)]),
    operation!(post "/fhir/AidboxTopicDestination/{id}/$resume", "deliver again", Nothing, &[], &[], &[(200, Gives::Parameters)]),
    operation!(get "/fhir/AidboxTopicDestination/{id}/$dead-letters", "changes that were set aside", Nothing, &[], &[], &[(200, Gives::Parameters)]),
    operation!(post "/fhir/ViewDefinition/$materialize", "make a view ready for destinations and SQL users", Parameters, &[], &[], &[(200, Gives::Parameters)]),
    operation!(post "/fhir/ViewDefinition/{id}/$materialize", "make a view ready for destinations and SQL users", Parameters, &[], &[], &[(200, Gives::Parameters)]),
    operation!(get "/fhir/ViewDefinition/{id}/$materialize", "how a view stands for SQL users", Nothing, &[], &[], &[(200, Gives::Parameters), (409, Gives::Outcome)]),
    operation!(delete "/fhir/ViewDefinition/{id}/$materialize", "take a view away from SQL users", Nothing, &[], &[], &[(204, Gives::Nothing)]),
    operation!(get "/fhir/ViewDefinition/$run", "the rows of a view", Nothing, RUN, &[], &[(200, Gives::Rows)]),
    operation!(get "/fhir/ViewDefinition/{id}/$run", "the rows of a view", Nothing, RUN, &[], &[(200, Gives::Rows)]),
    operation!(post "/fhir/ViewDefinition/$run", "the rows of a view", Parameters, &[], &[], &[(200, Gives::Rows)]),
    operation!(post "/fhir/ViewDefinition/{id}/$run", "the rows of a view", Parameters, &[], &[], &[(200, Gives::Rows)]),
    operation!(post "/ingest/bundle", "a notification of another server's subscription", Bundle, &[], &[], &[(200, Gives::Outcome)]),
    operation!(put "/ingest/hapi/{type}/{id}", "a change as HAPI's rest-hook sends it", Resource, &[], &[], &[(200, Gives::Outcome)]),
    operation!(post "/ingest/hapi/{type}/{id}", "the same by another method", Resource, &[], &[], &[(200, Gives::Outcome)]),
    operation!(delete "/ingest/hapi/{type}/{id}", "a delete as HAPI's rest-hook sends it", Nothing, &[], &[], &[(200, Gives::Outcome)]),
    operation!(post "/ingest/medplum", "a change as Medplum's rest-hook sends it", Medplum, &[], &[], &[(200, Gives::Outcome)]),
];
