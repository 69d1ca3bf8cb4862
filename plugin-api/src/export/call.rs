//! A call under way: started at once, driven by the library's runtime, told exactly once, cancelled on request.

use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use lakefeed_plugin_abi::{AbiCompletion, AbiInstance, AbiOp};
use tokio::sync::{Notify, watch};

use super::completion::{Answer, Owed, cancelled};
use super::instance::Instance;
use super::logging::{Scope, within};
use super::panic::caught;
use super::runtime;
use crate::{Category, Plugin, PluginError};

/// Starts a call. `make` reads what the host lends and gives the future; it runs before this returns.
///
/// # Safety
/// The instance is as [`Instance::borrow`] needs it.
pub(super) unsafe fn start<P, F, A>(
    instance: *mut AbiInstance,
    completion: AbiCompletion,
    make: impl FnOnce(Arc<Instance<P>>) -> Result<(F, String), PluginError>,
) -> *mut AbiOp
where
    P: Plugin,
    F: Future<Output = Result<A, PluginError>> + Send + 'static,
    A: Answer + Send + 'static,
{
    let owed = Owed::new(completion);
    // SAFETY: the caller promises it.
    let begun = caught(|| unsafe { begin(instance, make) }).and_then(|begun| begun);
    match begun {
        Ok((call, runtime)) => {
            let op = Box::into_raw(Box::new(Arc::clone(&call.cancel)));
            drop(runtime.spawn(async move {
                let (outcome, closing) = call.drive().await;
                owed.tell(outcome);
                // Only now may `destroy` complete: every call's end is told before the instance's.
                drop(closing);
            }));
            op.cast()
        }
        Err(error) => {
            owed.tell::<A>(Err(error));
            ptr::null_mut()
        }
    }
}

/// # Safety
/// As for [`start`].
unsafe fn begin<P, F, A>(
    instance: *mut AbiInstance,
    make: impl FnOnce(Arc<Instance<P>>) -> Result<(F, String), PluginError>,
) -> Result<(Call<P, F>, runtime::Handle), PluginError>
where
    P: Plugin,
    F: Future<Output = Result<A, PluginError>> + Send + 'static,
{
    // SAFETY: the caller promises it.
    let instance = unsafe { Instance::<P>::borrow(instance) }?;
    let runtime = runtime::handle()?;
    let closing = instance.closing.subscribe();
    let (future, traceparent) = make(Arc::clone(&instance))?;
    let scope = instance.scope(&traceparent);
    let call = Call {
        future: Guarded::new(future, scope),
        instance,
        cancel: Arc::default(),
        closing,
    };
    Ok((call, runtime))
}

/// Does at once what needs no runtime, and tells the end before it returns.
///
/// # Safety
/// The instance is as [`Instance::borrow`] needs it.
pub(super) unsafe fn at_once<P: Plugin, A: Answer>(
    instance: *mut AbiInstance,
    completion: AbiCompletion,
    work: impl FnOnce(&P) -> Result<A, PluginError>,
) {
    let owed = Owed::new(completion);
    // SAFETY: the caller promises it.
    let outcome = unsafe { Instance::<P>::borrow(instance) }.and_then(|instance| {
        let worked = within(&instance.scope(""), || caught(|| work(&instance.plugin)));
        worked
            .inspect_err(|_| instance.poison())
            .and_then(|worked| worked)
    });
    owed.tell(outcome);
}

/// Asks a call to end (`cancel` of `lakefeed.instance/0`).
pub(super) unsafe extern "C" fn cancel(op: *mut AbiOp) {
    if !op.is_null() {
        // SAFETY: the pointer came from `start`, and the host has not freed it.
        unsafe { &*op.cast::<Arc<Notify>>() }.notify_one();
    }
}

/// Frees a call's handle (`op_free` of `lakefeed.instance/0`).
pub(super) unsafe extern "C" fn op_free(op: *mut AbiOp) {
    if !op.is_null() {
        // SAFETY: the pointer came from `start`, and the host frees it once.
        drop(unsafe { Box::from_raw(op.cast::<Arc<Notify>>()) });
    }
}

/// What a call needs to run. `destroy` waits until every `closing` is gone, so it is let go last.
struct Call<P, F> {
    future: Guarded<F>,
    instance: Arc<Instance<P>>,
    cancel: Arc<Notify>,
    closing: watch::Receiver<bool>,
}

impl<P: Plugin, A, F: Future<Output = Result<A, PluginError>>> Call<P, F> {
    /// Runs to its end or until it is cancelled. The plugin's future is gone when this returns.
    async fn drive(self) -> (Result<A, PluginError>, watch::Receiver<bool>) {
        let Self {
            mut future,
            instance,
            cancel,
            mut closing,
        } = self;
        let outcome = tokio::select! {
            biased;
            outcome = &mut future => outcome,
            () = cancel.notified() => Err(cancelled()),
            _ = closing.wait_for(|closing| *closing) => Err(cancelled()),
        };
        let outcome = future.end().and(outcome);
        if outcome
            .as_ref()
            .is_err_and(|error| error.category == Category::PluginPanic)
        {
            instance.poison();
        }
        (outcome, closing)
    }
}

/// A future whose polls and drop happen in its instance's scope, and whose panics are errors.
struct Guarded<F> {
    future: Option<Pin<Box<F>>>,
    scope: Scope,
}

impl<F> Guarded<F> {
    fn new(future: F, scope: Scope) -> Self {
        Self {
            future: Some(Box::pin(future)),
            scope,
        }
    }

    /// Drops the future.
    fn end(&mut self) -> Result<(), PluginError> {
        let future = self.future.take();
        within(&self.scope, || caught(|| drop(future)))
    }
}

impl<A, F: Future<Output = Result<A, PluginError>>> Future for Guarded<F> {
    type Output = Result<A, PluginError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(future) = this.future.as_mut() else {
            return Poll::Ready(Err(cancelled()));
        };
        match within(&this.scope, || caught(|| future.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        // Reached with a future inside only when the runtime ends; its panic has nobody left to tell.
        drop(self.end());
    }
}
