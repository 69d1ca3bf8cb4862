//! The change log and the destinations' offsets.
