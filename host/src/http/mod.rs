//! Routes to the other modules; no decisions.
