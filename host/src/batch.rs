//! When a batch is full or due.
