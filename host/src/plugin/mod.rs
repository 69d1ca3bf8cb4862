//! Find, check, load and adapt plugins.
