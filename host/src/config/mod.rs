//! The configuration file: written, then checked.
