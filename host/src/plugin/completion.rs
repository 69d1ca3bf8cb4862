//! The end of a call, told exactly once.
//!
//! A plugin gets a number, never an address, as the context of its completion. Whatever it does with that number
//! later (a second completion, one long after the host stopped waiting) finds either the call or nothing; no memory
//! is trusted to its good behaviour. A second completion and an answer that cannot be read quarantine the library that
//! the number names: those are what the host sees by itself. An error that a plugin answers quarantines nothing.
#![expect(unsafe_code, reason = "a plugin calls back through a function pointer")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use lakefeed_plugin_api::abi::{AbiCompletion, AbiStatus};
use lakefeed_plugin_api::{Category, PluginError};

use super::answer::{Lent, answer};
use super::health::Health;

/// The bits of a token that count calls; the rest is the library's number.
const CALL_BITS: u32 = 48;

type Finish = Box<dyn FnOnce(*const AbiStatus, *const c_void) + Send>;

static PENDING: LazyLock<Mutex<HashMap<u64, Finish>>> = LazyLock::new(Mutex::default);

/// A completion to hand to a plugin. `read` copies the result while it is lent, and `then` gets the outcome, both on
/// whichever thread the plugin completes.
pub(super) fn arm<T: 'static>(
    library: u16,
    read: impl FnOnce(Lent) -> Result<T, PluginError> + Send + 'static,
    then: impl FnOnce(Result<T, PluginError>) + Send + 'static,
) -> AbiCompletion {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed) & ((1 << CALL_BITS) - 1);
    let token = (u64::from(library) << CALL_BITS) | call;
    let finish: Finish = Box::new(move |status, result| {
        // SAFETY: the plugin lends both until `done` returns, which is after this.
        let told = match unsafe { answer(status, result) } {
            Ok(Ok(lent)) => read(lent).inspect_err(|error| distrust(library, error)),
            Ok(Err(answered)) => Err(answered),
            Err(unreadable) => Err(unreadable).inspect_err(|error| distrust(library, error)),
        };
        then(told);
    });
    pending(|calls| calls.insert(token, finish));
    AbiCompletion {
        ctx: std::ptr::without_provenance_mut(as_address(token)),
        done: Some(done),
    }
}

/// Forgets a completion that was never handed out.
pub(super) fn disarm(completion: &AbiCompletion) {
    drop(take(token_of(completion.ctx)));
}

fn pending<R>(act: impl FnOnce(&mut HashMap<u64, Finish>) -> R) -> R {
    act(&mut PENDING.lock().unwrap_or_else(PoisonError::into_inner))
}

fn take(token: u64) -> Option<Finish> {
    pending(|calls| calls.remove(&token))
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a completion's token needs an address of 64 bits");

#[expect(clippy::cast_possible_truncation, reason = "an address has 64 bits here")]
fn as_address(token: u64) -> usize {
    token as usize
}

fn token_of(ctx: *mut c_void) -> u64 {
    ctx.addr() as u64
}

/// Called by plugins, on any thread.
unsafe extern "C" fn done(ctx: *mut c_void, status: *const AbiStatus, result: *const c_void) {
    let token = token_of(ctx);
    // A panic must not cross into the plugin. There is nobody to tell: the call's future sees its sender dropped.
    drop(catch_unwind(AssertUnwindSafe(|| match take(token) {
        Some(finish) => finish(status, result),
        None => broken(token),
    })));
}

fn broken(token: u64) {
    if let Ok(library) = u16::try_from(token >> CALL_BITS) {
        quarantine(library, "it completed a call twice");
    }
}

/// Stops the use of a library whose answer the host cannot read.
fn distrust(library: u16, error: &PluginError) {
    if error.category == Category::PluginContract {
        quarantine(library, &error.message);
    }
}

fn quarantine(library: u16, reason: &str) {
    if let Some(health) = Health::of(library) {
        health.quarantine(reason);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn complete(completion: &AbiCompletion, status: *const AbiStatus) {
        // SAFETY: the completion was just made, and the status is null or whole.
        unsafe { completion.done.unwrap()(completion.ctx, status, std::ptr::null()) };
    }

    #[test]
    fn the_first_completion_arrives_and_the_second_quarantines_the_library() {
        let (number, health) = Health::register();
        let (sender, receiver) = channel();
        let completion = arm(number, Lent::nothing, move |outcome| {
            sender.send(outcome).unwrap()
        });
        complete(&completion, &AbiStatus::OK);
        assert_eq!(receiver.recv().unwrap(), Ok(()));
        health.usable().unwrap();
        complete(&completion, &AbiStatus::OK);
        assert_eq!(
            health.report().quarantined.as_deref(),
            Some("it completed a call twice")
        );
        assert!(receiver.recv().is_err(), "nothing arrives twice");
    }

    #[test]
    fn a_completion_without_a_status_is_a_broken_contract() {
        let (number, health) = Health::register();
        let (sender, receiver) = channel();
        let completion = arm(number, Lent::nothing, move |outcome| {
            sender.send(outcome).unwrap()
        });
        complete(&completion, std::ptr::null());
        assert_eq!(
            receiver.recv().unwrap().unwrap_err().category,
            Category::PluginContract
        );
        assert!(health.report().quarantined.is_some());
    }

    #[test]
    fn a_panic_in_the_host_does_not_cross() {
        let (number, _) = Health::register();
        let completion = arm(number, Lent::nothing, |_: Result<(), PluginError>| {
            panic!("on purpose")
        });
        complete(&completion, &AbiStatus::OK);
    }
}
