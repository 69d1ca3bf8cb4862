//! What `abi_stable` knows of each interface, for the comparison at load.
//!
//! Results cross as untyped pointers, so an interface's table alone does not lead to every struct that its calls use.
//! Each bundle here holds the table and those structs; a bundle is never made, only described.

use abi_stable::StableAbi;
use abi_stable::type_layout::TypeLayout;

use crate::*;

/// Everything that every plugin uses, whatever else it offers.
#[repr(C)]
#[derive(StableAbi)]
struct InstanceLayout {
    host_info: AbiHostInfo,
    descriptor: AbiDescriptor,
    host: AbiHost,
    instance: AbiInstanceTable,
    document: AbiDocument,
    log: AbiHostLog,
    metrics: AbiHostMetrics,
    secrets: AbiHostSecrets,
    token: AbiHostToken,
    credentials: AbiHostCredentials,
    ack: AbiHostAck,
    state: AbiHostState,
}

/// A writer's table and the results of its calls.
#[repr(C)]
#[derive(StableAbi)]
struct WriterLayout {
    table: AbiWriterTable,
    profile: AbiWriterProfile,
    ack: AbiWriteAck,
    refusal: AbiRefusal,
}

/// A mapper's conversions and their result.
#[repr(C)]
#[derive(StableAbi)]
struct CoerceLayout {
    table: AbiCoerceTable,
    batch: AbiArrowBatch,
}

/// The layout of everything that an interface's calls use; none for an id that is not known.
///
/// The host compares its own with the one that a plugin exports under [`LAYOUT_SYMBOL`].
#[must_use]
pub fn layout_of(id: &str) -> Option<&'static TypeLayout> {
    Some(match id {
        INTERFACE_INSTANCE => InstanceLayout::LAYOUT,
        INTERFACE_WRITER => WriterLayout::LAYOUT,
        INTERFACE_FLUSH => AbiFlushTable::LAYOUT,
        INTERFACE_MERGE => AbiMergeTable::LAYOUT,
        INTERFACE_TABLE_ADMIN => AbiTableAdminTable::LAYOUT,
        INTERFACE_CREDENTIALS => AbiCredentialsTable::LAYOUT,
        INTERFACE_STAGER => AbiStagerTable::LAYOUT,
        INTERFACE_SCHEMA_MAPPER => AbiSchemaMapperTable::LAYOUT,
        INTERFACE_COERCE => CoerceLayout::LAYOUT,
        INTERFACE_CHECK => AbiCheckTable::LAYOUT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi_stable::abi_stability::abi_checking::check_layout_compatibility;

    #[test]
    fn every_interface_has_a_layout_that_agrees_with_itself() {
        for id in INTERFACES {
            let layout = layout_of(id).unwrap();
            assert!(check_layout_compatibility(layout, layout).is_ok(), "{id}");
        }
        assert!(layout_of("lakefeed.writer/9").is_none());
    }
}
