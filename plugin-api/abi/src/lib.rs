//! The tables that cross between lakefeed and a plugin: plain C layouts, and nothing else.
//!
//! A plugin is a shared library that exports [`lakefeed_plugin_entry_v1`](ENTRY_SYMBOL). The host calls it once with an
//! [`AbiHostInfo`] and gets an [`AbiDescriptor`], through which it asks for *interfaces* by id: tables of functions,
//! one for each ability. What a plugin does not have, it answers with null. The host lends *services* in the same way.
//!
//! * `entry`: the symbol, the descriptor, the host's first words; instances and operations.
//! * `value`: text, owned bytes, status, completion: what every call is made of.
//! * `arrow`: the two structs of the Arrow C data interface.
//! * `interface`: what plugins offer. `service`: what the host lends.
//!
//! `include/lakefeed_plugin.h` says the same in C, with the rules on threads, memory and completion that hold for both;
//! it is the normative text. `plugin-api/tests/layout.rs` compares the two, byte by byte.
//!
//! # How it grows
//!
//! An id that ends in `/0` is not frozen: its layout number changes with it. Once it ends in `/1` its table never
//! changes again; growth is a new interface with a new id. Each table carries the layout number with which it was built,
//! and the history of the numbers stands beside their constants.

#![no_std]
#![expect(
    unsafe_code,
    reason = "the layout derive implements an unsafe trait, and tables hold unsafe functions"
)]

mod arrow;
mod entry;
mod interface;
#[cfg(feature = "layout-check")]
mod layout;
mod service;
mod value;

pub use arrow::*;
pub use entry::*;
pub use interface::*;
#[cfg(feature = "layout-check")]
pub use layout::layout_of;
pub use service::*;
pub use value::*;
