//! Events of the `tracing` crate, forwarded to the host's log.
//!
//! An event belongs to the instance whose call is being polled on its thread. Events of threads that the plugin started
//! itself go to the instance that was made last.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{LogEvent, LogLevel, Services};

/// Whose call runs on this thread.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) services: Arc<dyn Services>,
    pub(super) traceparent: Arc<str>,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

static LATEST: Mutex<Option<Weak<dyn Services>>> = Mutex::new(None);

/// Runs the function with its events going to this instance.
pub(super) fn within<R>(scope: &Scope, function: impl FnOnce() -> R) -> R {
    let before = CURRENT.replace(Some(scope.clone()));
    let result = function();
    CURRENT.set(before);
    result
}

/// Makes events go to the host, from now on for the whole library.
pub(super) fn install(services: &Arc<dyn Services>) {
    static ONCE: Once = Once::new();
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(services));
    ONCE.call_once(|| {
        // Fails only where the plugin is linked into a program that has its own subscriber; that one then logs.
        drop(tracing::subscriber::set_global_default(
            tracing_subscriber::registry().with(Forward),
        ));
    });
}

fn current() -> Option<Scope> {
    CURRENT
        .try_with(|scope| scope.try_borrow().ok().and_then(|scope| scope.clone()))
        .ok()
        .flatten()
        .or_else(|| {
            let latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
            let services = latest.as_ref().and_then(Weak::upgrade)?;
            Some(Scope {
                services,
                traceparent: Arc::from(""),
            })
        })
}

struct Forward;

impl<S: Subscriber> Layer<S> for Forward {
    /// The wanted level may change at any time, so no answer is remembered.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let wanted = current().and_then(|scope| scope.services.max_level());
        wanted.is_some_and(|wanted| level(*metadata.level()) <= wanted)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(scope) = current() else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        scope.services.log(LogEvent {
            level: level(*event.metadata().level()),
            target: event.metadata().target().to_owned(),
            message: fields.message,
            fields: fields.rest,
            traceparent: scope.traceparent.to_string(),
        });
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.rest.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.put(field, Value::String(text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, Value::String(value.to_owned()));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
