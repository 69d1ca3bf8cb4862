//! The names of the switches.

use serde::{Deserialize, Serialize};

/// What can be made to go wrong, or to be laxer or slower than by default.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A request is answered as if its token were not valid (`surface`, `times`).
    Unauthorized,
    /// A request is answered 403 (`surface`, `times`, `message`).
    Forbidden,
    /// The `privilege` on the `object` counts as not granted to anybody who is not an administrator.
    DeniedGrant,
    /// A request is answered 429 with `Retry-After` (`surface`, `times`, `retryAfter` seconds).
    Throttled,
    /// A request is answered `status` (503 if left out), with `Retry-After` if `retryAfter` is given.
    ServerError,
    /// The connection is closed without an answer, and nothing was done.
    DropBefore,
    /// The connection is closed without an answer after everything was done.
    DropAfter,
    /// The answer comes `milliseconds` after the work is done.
    Slow,
    /// The answer breaks off in its middle.
    Truncated,
    /// A request is answered `status` (502 if left out) with a page of HTML.
    Html,
    /// A stopped warehouse takes `milliseconds` to start.
    ColdStart,
    /// Rows that Zerobus took are queryable `milliseconds` later.
    VisibilityDelay,
    /// Zerobus sees a changed schema `milliseconds` after the change.
    SchemaCacheDelay,
    /// Zerobus answers 4024 for every table; with `enabled: false` for none, not even in default storage.
    DefaultStorage,
    /// Rows of a request or statement are committed twice (`surface`, `times`).
    DuplicateDelivery,
    /// A statement runs `milliseconds` before it does anything (`times`).
    SlowStatement,
    /// The next statement fails with `class`, `sqlState` and `message` (`times`).
    StatementFailed,
    /// Plain tokens live `seconds`, Zerobus tokens too.
    TokenLifetime,
    /// With `enabled: false` a token of one kind is taken where the other is due.
    TokenKinds,
    /// Rows are counted and thrown away, unchecked.
    NullSink,
    /// One bare object is taken by Zerobus as an array of one.
    BareObject,
    /// The grant EXTERNAL USE SCHEMA on a schema without a storage root is taken (and, with `ignored: true`, lost).
    ExternalUseSchema,
    /// A request to Zerobus is answered 400 with an empty body, as by a host of another workspace or region.
    WrongWorkspace,
}
