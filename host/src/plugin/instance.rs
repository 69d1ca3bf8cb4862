//! One instance of a loaded plugin, as the rest of the host sees it: async methods that mirror the plugin traits.
//!
//! Every method resolves, whatever the plugin does. It ends with the plugin's answer, or with a typed error when the
//! deadline passes; a future that is dropped cancels its call. After a panic, a broken contract, or when a function of the plugin does
//! not return, the instance is over ([`Instance::state`]): calls fail at once with
//! [`Retry::RecreateInstance`] until the host makes another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use lakefeed_plugin_api::abi::{AbiCompletion, AbiOp};
use lakefeed_plugin_api::{Category, Deadline, PluginError, Retry};
use serde_json::Value;
use tokio::sync::oneshot;

use super::answer::{Address, Lent};
use super::completion::arm;
use super::error::PluginRefusal;
use super::health::{Event, Health};
use super::lend::CredentialSource;
use super::load::LoadedPlugin;
use super::metrics::PluginMetrics;
use super::secrets;
use super::services::{AckListener, Context, HostSide};
use super::state::StateStore;
use super::thread::{Entered, InstanceState, Job, Shared, Worker, start};
use super::token::TokenBroker;

/// How long `create` may take, which does no I/O.
const CREATE_WITHIN: Duration = Duration::from_secs(10);

/// What an instance is given besides its parameters.
#[derive(Clone)]
pub struct InstanceContext {
    /// What tells this instance from its siblings in logs: the destination's id.
    pub name: String,
    /// How long a call without a deadline of its own may take.
    pub call_timeout: Duration,
    /// Where the numbers it records go.
    pub metrics: Arc<PluginMetrics>,
    /// Where its small state is kept; none if it may keep none.
    pub state: Option<Arc<dyn StateStore>>,
    /// Who lends tokens; none if there are none.
    pub tokens: Option<Arc<TokenBroker>>,
    /// Who vends credentials for storage; none if nobody does.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Told of late acks; none if nobody listens.
    pub ack: Option<AckListener>,
}

impl InstanceContext {
    /// A context with a minute for each call, and nothing else lent.
    pub fn new(name: impl Into<String>) -> InstanceContext {
        InstanceContext {
            name: name.into(),
            call_timeout: Duration::from_secs(60),
            metrics: Arc::default(),
            state: None,
            tokens: None,
            credentials: None,
            ack: None,
        }
    }
}

/// An instance. Dropping it cancels what is under way and destroys it, on its own thread and in its own time.
#[derive(Debug)]
pub struct Instance {
    /// The library it is of.
    pub plugin: Arc<LoadedPlugin>,
    id: u64,
    jobs: Sender<Job>,
    shared: Arc<Shared>,
    call_timeout: Duration,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The thread may have ended by itself; then there is nothing to destroy.
        drop(self.jobs.send(Job::Destroy));
    }
}

impl Instance {
    /// Makes an instance of these parameters, a JSON object that was validated against the manifest's schema.
    ///
    /// # Errors
    ///
    /// The plugin's own error if it does not like the parameters; an error of category `plugin.contract` if the library
    /// is quarantined or too many of its instances are stuck; `deadline` if the plugin does not return.
    pub async fn create(
        plugin: &Arc<LoadedPlugin>,
        config: &Value,
        context: InstanceContext,
    ) -> Result<Instance, PluginError> {
        plugin.health.admit_instance(plugin.single)?;
        let instance = Instance::begin(plugin, config, context)?;
        let config = config.to_string();
        let jobs = instance.jobs.clone();
        let read = move |lent: Lent| {
            let address: Address = lent.instance()?;
            // The thread outlives the call, so it is there to hear of the instance.
            drop(jobs.send(Job::Created(address)));
            Ok(())
        };
        let deadline = Deadline::after(CREATE_WITHIN);
        instance
            .call(deadline, read, move |entered, completion| {
                entered.create(&config, completion)
            })
            .await?;
        Ok(instance)
    }

    /// Starts the thread of an instance that is yet to be created.
    fn begin(
        plugin: &Arc<LoadedPlugin>,
        config: &Value,
        context: InstanceContext,
    ) -> Result<Instance, PluginError> {
        static INSTANCES: AtomicU64 = AtomicU64::new(1);
        let manifest = &plugin.manifest;
        let shared = Arc::new(Shared::new(plugin.health.clone()));
        let host = HostSide::new(Context {
            plugin: manifest.name.clone(),
            version: manifest.version.clone(),
            instance: context.name,
            secrets: secrets::of_config(config, [&manifest.parameters, &manifest.settings]),
            metrics: context.metrics,
            state: context.state,
            tokens: context.tokens,
            credentials: context.credentials,
            runtime: tokio::runtime::Handle::try_current().ok(),
            ack: context.ack,
        });
        let (jobs, receiver) = channel();
        let (tables, library) = (plugin.tables.clone(), plugin.number);
        let worker = Worker {
            tables,
            host,
            shared: shared.clone(),
            library,
        };
        start(&manifest.name, worker, receiver).map_err(|error| {
            plugin.health.instance_gone();
            PluginError::new(
                Category::Internal,
                "HOST-004",
                format!("no thread for the plugin: {}", error.kind()),
            )
        })?;
        let id = INSTANCES.fetch_add(1, Ordering::Relaxed);
        Ok(Instance {
            plugin: plugin.clone(),
            id,
            jobs,
            shared,
            call_timeout: context.call_timeout,
        })
    }

    /// A number that no other instance of this process has: who keeps state per instance sees a replacement by it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the instance is fit for.
    pub fn state(&self) -> InstanceState {
        self.shared.state()
    }

    /// The deadline of calls that have none of their own.
    pub(super) fn usual_deadline(&self) -> Deadline {
        Deadline::after(self.call_timeout)
    }

    /// The error of a call to an interface that the library does not have.
    pub(super) fn lacks(id: &str) -> PluginError {
        PluginError::new(
            Category::ConfigInvalid,
            "PLUGIN-035",
            format!("the plugin does not offer {id}"),
        )
        .hint("name another plugin for that part of the destination")
    }

    /// Begins a call on the instance's thread and waits for its end.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        deadline: Deadline,
        read: impl FnOnce(Lent) -> Result<T, PluginError> + Send + 'static,
        enter: impl FnOnce(&Entered<'_>, AbiCompletion) -> *mut AbiOp + Send + 'static,
    ) -> Result<T, PluginError> {
        self.usable()?;
        let (call, receiver) = self.enter(read, enter)?;
        let ended = match deadline.remaining() {
            None => Ok(receiver.await),
            Some(left) => tokio::time::timeout(left, receiver).await,
        };
        let outcome = match ended {
            Ok(told) => told.unwrap_or_else(|_| Err(never_told())),
            Err(_) => Err(self.give_up(&call)),
        };
        call.end();
        outcome.inspect_err(|error| self.learn(error))
    }

    fn usable(&self) -> Result<(), PluginError> {
        self.plugin.health.usable()?;
        match self.state() {
            InstanceState::Ready => Ok(()),
            InstanceState::Poisoned => Err(over(
                Category::PluginPanic,
                "the instance has panicked or broken the contract before",
            )),
            InstanceState::Stuck => Err(over(
                Category::Deadline,
                "the instance does not return from an earlier call",
            )),
        }
    }

    fn enter<T: Send + 'static>(
        &self,
        read: impl FnOnce(Lent) -> Result<T, PluginError> + Send + 'static,
        enter: impl FnOnce(&Entered<'_>, AbiCompletion) -> *mut AbiOp + Send + 'static,
    ) -> Result<(Call, oneshot::Receiver<Result<T, PluginError>>), PluginError> {
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let id = CALLS.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let (jobs, health) = (self.jobs.clone(), self.plugin.health.clone());
        let completion = arm(self.plugin.number, read, move |outcome| {
            if sender.send(outcome).is_err() {
                health.count(Event::Late);
            }
            // The thread ends before its last calls do when the instance is destroyed; it has then freed the handle.
            drop(jobs.send(Job::Finished(id)));
        });
        let unwanted = Arc::new(AtomicBool::new(false));
        let job = Job::Enter {
            id,
            unwanted: unwanted.clone(),
            completion,
            enter: Box::new(enter),
        };
        self.plugin.health.count(Event::Call);
        self.jobs.send(job).map_err(|_| never_told())?;
        Ok((
            Call {
                id,
                unwanted,
                jobs: Some(self.jobs.clone()),
            },
            receiver,
        ))
    }

    /// The deadline has passed: the call is cancelled, and the instance is over if its function has not returned.
    fn give_up(&self, call: &Call) -> PluginError {
        self.plugin.health.count(Event::Timeout);
        let stuck = self.shared.give_up(call.id);
        call.cancel();
        if stuck {
            return over(Category::Deadline, "a function of the plugin does not return").outcome_unknown();
        }
        PluginError::new(
            Category::Deadline,
            "PLUGIN-DEADLINE",
            "the plugin did not answer in time",
        )
        .outcome_unknown()
    }

    /// What a failure says about the instance and its library.
    fn learn(&self, error: &PluginError) {
        let health: &Health = &self.plugin.health;
        health.count(Event::Error);
        match error.category {
            Category::PluginPanic => {
                health.count(Event::Panic);
                self.shared.poison();
            }
            // What the host saw of it has quarantined the library already; a plugin's own word ends this instance.
            Category::PluginContract => self.shared.poison(),
            _ => {}
        }
    }
}

fn over(category: Category, message: &str) -> PluginError {
    PluginError::new(category, "PLUGIN-INSTANCE", message).retry(Retry::RecreateInstance)
}

fn never_told() -> PluginError {
    over(Category::PluginPanic, "the instance ended without an answer").outcome_unknown()
}

impl From<PluginRefusal> for PluginError {
    fn from(refusal: PluginRefusal) -> PluginError {
        use super::error::RefusalCode::{Quarantined, TooManyAbandoned};
        let category = match refusal.code {
            Quarantined | TooManyAbandoned => Category::PluginContract,
            _ => Category::ConfigInvalid,
        };
        PluginError::new(category, refusal.code.as_str(), refusal.message).hint(refusal.remedy)
    }
}

/// A call that somebody waits for. Dropped before its end, it is cancelled.
struct Call {
    id: u64,
    unwanted: Arc<AtomicBool>,
    jobs: Option<Sender<Job>>,
}

impl Call {
    fn cancel(&self) {
        self.unwanted.store(true, Ordering::Release);
        if let Some(jobs) = &self.jobs {
            // A thread that has ended has cancelled everything.
            drop(jobs.send(Job::Cancel(self.id)));
        }
    }

    /// The call is over; dropping this cancels nothing.
    fn end(mut self) {
        self.jobs = None;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.jobs.is_some() {
            self.cancel();
        }
    }
}
