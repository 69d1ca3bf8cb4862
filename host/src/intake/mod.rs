//! How changes enter: HTTP and NDJSON.
