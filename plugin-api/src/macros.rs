//! The one macro that makes a library of a plugin type.

/// Exports a plugin type and the interfaces that it offers, as a shared library's entry.
///
/// Use it once in a crate whose `crate-type` contains `cdylib`. Each word in brackets names the trait that the type
/// implements: `writer`, `flush`, `merge`, `table_admin`, `credentials`, `stager`, `schema_mapper`, `coerce`, `check`.
/// Naming one that it does not implement does not compile.
#[macro_export]
macro_rules! lakefeed_plugin {
    ($plugin:ty : [$($interface:ident),* $(,)?]) => {
        #[allow(unsafe_code, reason = "a library's entry is a C symbol")]
        const _: () = {
            use $crate::abi;

            unsafe extern "C" fn get_interface(id: abi::AbiStr) -> *const ::core::ffi::c_void {
                // SAFETY: the host lends the id for the length of this call.
                let id = unsafe { id.bytes() };
                $crate::lakefeed_plugin!(@find id, $plugin, instance);
                $($crate::lakefeed_plugin!(@find id, $plugin, $interface);)*
                ::core::ptr::null()
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn lakefeed_plugin_entry_v1(
                host: *const abi::AbiHostInfo,
            ) -> *const abi::AbiDescriptor {
                // SAFETY: the host calls this as the contract says.
                unsafe { $crate::export::descriptor::<$plugin>(host, get_interface, cfg!(panic = "abort")) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn lakefeed_plugin_layout_v1(id: abi::AbiStr) -> *const ::core::ffi::c_void {
                // SAFETY: the host lends the id for the length of this call.
                unsafe { $crate::export::layout(id) }
            }
        };
    };
    (@find $id:ident, $plugin:ty, instance) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_INSTANCE, INSTANCE) };
    (@find $id:ident, $plugin:ty, writer) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_WRITER, WRITER) };
    (@find $id:ident, $plugin:ty, flush) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_FLUSH, FLUSH) };
    (@find $id:ident, $plugin:ty, merge) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_MERGE, MERGE) };
    (@find $id:ident, $plugin:ty, table_admin) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_TABLE_ADMIN, TABLE_ADMIN) };
    (@find $id:ident, $plugin:ty, credentials) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_CREDENTIALS, CREDENTIALS) };
    (@find $id:ident, $plugin:ty, stager) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_STAGER, STAGER) };
    (@find $id:ident, $plugin:ty, schema_mapper) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_SCHEMA_MAPPER, SCHEMA_MAPPER) };
    (@find $id:ident, $plugin:ty, coerce) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_COERCE, COERCE) };
    (@find $id:ident, $plugin:ty, check) => { $crate::lakefeed_plugin!(@table $id, $plugin, INTERFACE_CHECK, CHECK) };
    (@table $id:ident, $plugin:ty, $name:ident, $table:ident) => {
        if $id == abi::$name.as_bytes() {
            return (&raw const *(const { &$crate::export::Exported::<$plugin>::$table })).cast();
        }
    };
}
