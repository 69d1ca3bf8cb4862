//! Whether host and plugin were built with the same structs.
//!
//! `abi_stable` gives the verdict: it compares what both builds know of every struct that an interface's calls use.
//! Its report is a dump of kilobytes, so this module finds the first difference itself and says it in one line that
//! names the struct and the field.

use std::collections::HashSet;

use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::type_layout::{TLField, TLFields, TypeLayout};

use super::error::{PluginRefusal, RefusalCode};

/// Names in the report are cut here, so that the whole stays a line.
const MAX_NAME: usize = 48;

/// Compares the host's layout of an interface with the plugin's.
///
/// # Errors
///
/// `PLUGIN-027`, naming the struct and the field that differ.
pub(super) fn compare(
    id: &str,
    ours: &'static TypeLayout,
    theirs: &'static TypeLayout,
) -> Result<(), PluginRefusal> {
    if check_layout_compatibility(ours, theirs).is_ok() {
        return Ok(());
    }
    let difference = Walk::default()
        .types(ours, theirs)
        .unwrap_or_else(|| "its structs differ".to_owned());
    Err(PluginRefusal::new(
        RefusalCode::LayoutMismatch,
        format!("interface {}: {difference}", cut(id)),
        "build the plugin with this host's plugin-api",
    ))
}

/// A walk over two layouts side by side; pairs seen before are not walked again.
#[derive(Default)]
struct Walk(HashSet<(usize, usize)>);

impl Walk {
    /// The first difference, the innermost first.
    fn types(&mut self, ours: &'static TypeLayout, theirs: &'static TypeLayout) -> Option<String> {
        if !self
            .0
            .insert((std::ptr::from_ref(ours).addr(), std::ptr::from_ref(theirs).addr()))
        {
            return None;
        }
        let owner = ours.name();
        self.fields(owner, ours.get_fields(), theirs.get_fields())
            .or_else(|| self.fields(owner, Some(ours.phantom_fields()), Some(theirs.phantom_fields())))
            .or_else(|| self.itself(ours, theirs))
    }

    /// What differs of the type itself, once its parts are known to agree.
    fn itself(&mut self, ours: &'static TypeLayout, theirs: &'static TypeLayout) -> Option<String> {
        let name = cut(ours.name());
        if ours.name() != theirs.name() {
            return Some(format!("expected type `{name}`, found `{}`", cut(theirs.name())));
        }
        let sizes = (ours.size(), ours.alignment());
        if sizes != (theirs.size(), theirs.alignment()) {
            return Some(format!(
                "struct `{name}` has {} bytes, expected {}",
                theirs.size(),
                ours.size()
            ));
        }
        let versions = (ours.package_version(), theirs.package_version());
        (ours.package() == theirs.package() && versions.0 != versions.1).then(|| {
            format!(
                "struct `{name}` is of plugin-api {}, expected {}",
                cut(&versions.1.to_string()),
                versions.0
            )
        })
    }

    fn fields(&mut self, owner: &str, ours: Option<TLFields>, theirs: Option<TLFields>) -> Option<String> {
        let (ours, theirs) = (ours?, theirs?);
        let mut theirs_left = theirs.iter();
        for our in ours.iter() {
            let Some(their) = theirs_left.next() else {
                return Some(format!(
                    "struct `{}` lacks field `{}`",
                    cut(owner),
                    cut(our.name())
                ));
            };
            if let Some(difference) = self.field(owner, &our, &their) {
                return Some(difference);
            }
        }
        theirs_left.next().map(|extra| {
            format!(
                "struct `{}` has an unknown field `{}`",
                cut(owner),
                cut(extra.name())
            )
        })
    }

    fn field(&mut self, owner: &str, our: &TLField, their: &TLField) -> Option<String> {
        if our.name() != their.name() {
            return Some(format!(
                "struct `{}`: expected field `{}`, found `{}`",
                cut(owner),
                cut(our.name()),
                cut(their.name())
            ));
        }
        let (our_type, their_type) = (our.layout(), their.layout());
        if our_type.name() != their_type.name() {
            return Some(format!(
                "struct `{}`, field `{}`: expected {}, found {}",
                cut(owner),
                cut(our.name()),
                cut(our_type.name()),
                cut(their_type.name())
            ));
        }
        self.functions(owner, our, their)
            .or_else(|| self.types(our_type, their_type))
    }

    /// The parameters and results of the functions that a field points to.
    fn functions(&mut self, owner: &str, our: &TLField, their: &TLField) -> Option<String> {
        let changed = || {
            format!(
                "struct `{}`, field `{}`: the function has other parameters",
                cut(owner),
                cut(our.name())
            )
        };
        if our.function_range().len() != their.function_range().len() {
            return Some(changed());
        }
        for (our, their) in our.function_range().iter().zip(their.function_range().iter()) {
            if our.param_type_layouts.len() != their.param_type_layouts.len() {
                return Some(changed());
            }
            let results = our
                .return_type_layout()
                .into_iter()
                .zip(their.return_type_layout());
            let pairs = our
                .param_type_layouts
                .iter()
                .zip(their.param_type_layouts.iter())
                .chain(results);
            for (our, their) in pairs {
                let (our, their) = (our(), their());
                if our.name() != their.name() {
                    return Some(changed());
                }
                if let Some(difference) = self.types(our, their) {
                    return Some(difference);
                }
            }
        }
        None
    }
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use abi_stable::StableAbi;

    use super::*;

    mod host {
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Meta {
            pub(super) attempt: u32,
            pub(super) number: u64,
        }
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Table {
            pub(super) size: u32,
            pub(super) write: Option<unsafe extern "C" fn(meta: *const Meta) -> u32>,
        }
    }
    mod widened {
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Meta {
            pub(super) attempt: u64,
            pub(super) number: u64,
        }
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Table {
            pub(super) size: u32,
            pub(super) write: Option<unsafe extern "C" fn(meta: *const Meta) -> u32>,
        }
    }
    mod longer {
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Meta {
            pub(super) attempt: u32,
            pub(super) number: u64,
            pub(super) extra: u64,
        }
    }
    mod renamed {
        #[repr(C)]
        #[derive(abi_stable::StableAbi)]
        pub(super) struct Meta {
            pub(super) tries: u32,
            pub(super) number: u64,
        }
    }

    fn difference(ours: &'static TypeLayout, theirs: &'static TypeLayout) -> String {
        let refusal = compare("lakefeed.writer/0", ours, theirs).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::LayoutMismatch);
        assert!(refusal.to_string().len() < 300, "{refusal}");
        refusal.message
    }

    #[test]
    fn the_same_layout_is_accepted() {
        compare("x/0", host::Table::LAYOUT, host::Table::LAYOUT).unwrap();
    }

    #[test]
    fn a_changed_struct_behind_a_function_is_named_with_its_field() {
        assert_eq!(
            difference(host::Table::LAYOUT, widened::Table::LAYOUT),
            "interface lakefeed.writer/0: struct `Meta`, field `attempt`: expected u32, found u64"
        );
    }

    #[test]
    fn added_missing_and_renamed_fields_are_named() {
        for (ours, theirs, expected) in [
            (
                host::Meta::LAYOUT,
                longer::Meta::LAYOUT,
                "struct `Meta` has an unknown field `extra`",
            ),
            (
                longer::Meta::LAYOUT,
                host::Meta::LAYOUT,
                "struct `Meta` lacks field `extra`",
            ),
            (
                host::Meta::LAYOUT,
                renamed::Meta::LAYOUT,
                "struct `Meta`: expected field `attempt`, found `tries`",
            ),
        ] {
            assert!(difference(ours, theirs).ends_with(expected), "{expected}");
        }
    }
}
