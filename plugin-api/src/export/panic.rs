//! A panic stops here and becomes an error.
//!
//! The text of a panic may quote a row, so it is the error's detail; its place in the source is the message.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::{Category, PluginError};

thread_local! {
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    static LAST: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Runs the function; a panic in it is an error of category [`Category::PluginPanic`].
pub(super) fn caught<R>(function: impl FnOnce() -> R) -> Result<R, PluginError> {
    install_hook();
    CATCHING.with(|depth| depth.set(depth.get() + 1));
    // Unwind safety: after a panic the instance is poisoned, so nobody sees what was left half done.
    let result = catch_unwind(AssertUnwindSafe(function));
    CATCHING.with(|depth| depth.set(depth.get() - 1));
    result.map_err(panicked)
}

fn panicked(payload: Box<dyn Any + Send>) -> PluginError {
    // A payload's own drop may panic; it is small, and leaked.
    std::mem::forget(payload);
    let (text, place) = LAST.take().unwrap_or_default();
    let place = if place.is_empty() {
        "an unknown place".to_owned()
    } else {
        place
    };
    PluginError::new(
        Category::PluginPanic,
        "ABI-002",
        format!("the plugin panicked at {place}"),
    )
    .hint("report it to the plugin's vendor; the instance is made anew")
    .detail(text)
}

/// The hook belongs to this library's copy of the standard library, so the host's own is untouched. Panics that are not
/// caught here go on to the hook that was there before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if CATCHING.with(Cell::get) == 0 {
                return previous(info);
            }
            let text = info
                .payload_as_str()
                .unwrap_or("a value that is not text")
                .to_owned();
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            LAST.set(Some((text, place)));
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_place_and_its_text_apart() {
        let error = caught(|| panic!("Jane Doe")).unwrap_err();
        assert_eq!(error.category, Category::PluginPanic);
        assert!(error.message.contains("panic.rs:"), "{}", error.message);
        assert!(!error.message.contains("Jane"));
        assert_eq!(error.detail, "Jane Doe");
    }
}
