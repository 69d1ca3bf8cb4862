//! The copy that the build script made.

include!(env!("TAMPERED_ABI"));
