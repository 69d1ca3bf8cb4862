//! The promises that span the whole program.
