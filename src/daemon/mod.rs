//! The daemon: puts the rooms together, says when it is ready, and ends in order.
//!
//! It decides nothing about agents. Signals and the socket are served on one thread; whatever may take long is asked of
//! the engine from a thread that may block. SIGPIPE needs no care: Rust's start-up ignores it.

pub mod assemble;
mod signals;
mod watchdog;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::agent::Shown;
use crate::api::{Api, Door, Feed, Looks, Places, Socket, SocketError, Tcp, serve};
use crate::config::{RelayKind, Settings};
use crate::engine::{MeshCore, ReconcileResult, Reconfigure, StartError};
use crate::lock::{Lock, LockError, What};
use crate::registry::{Event, EventName, RegistryError};
use crate::systemd;
use crate::telemetry::{Level, Log};
/// What the system grants a daemon, and how much of it is taken: for commands that say whether it is enough.
pub use crate::watch::budget::{Budget, Limit, Limits};
use signals::{Signal, Signals};

/// How long a starting daemon waits for a command that writes.
const WAIT_FOR_COMMAND: Duration = Duration::from_secs(5);

/// How long requests that are being answered may take to be. What a client was not told it would do again.
const TIME_TO_ANSWER: Duration = Duration::from_millis(1_500);

/// How long the engine may take to end the pass that is under way. systemd is promised 5 s in all: this, the requests before,
/// and half a second for whoever reads the log.
const TIME_TO_STOP: Duration = Duration::from_millis(2_500);

/// How long after a failed first pass it is tried again.
const START_AGAIN: Duration = Duration::from_secs(2);

/// What `systemctl status` shows of a daemon that is ready.
const READY: &str = "ready: every scan root was looked at";

/// The daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Somebody else writes this registry.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The registry cannot be opened.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The engine cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// There is no control socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// There is no token for who asks over TCP, and nobody else may be let in.
    #[error("cannot serve HTTP at {address}")]
    Http {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system refuses a thread, a signal handler or the like.
    #[error("cannot start")]
    System(#[from] std::io::Error),
}

/// Reads the configuration again; the error is for the log.
type Resolve<'a> = &'a dyn Fn() -> Result<Settings, String>;

/// Runs the daemon until SIGTERM or SIGINT. `resolve` reads the configuration again, for SIGHUP.
pub fn run(settings: Settings, resolve: Resolve<'_>, log: &Log) -> Result<(), DaemonError> {
    let lock = Lock::take(&settings.state_dir, What::Daemon, WAIT_FOR_COMMAND)?;
    open_many_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(live(settings, resolve, log, lock));
    // A thread that still waits for the engine is left behind: it holds nothing that outlives the process.
    runtime.shutdown_background();
    result
}

/// Takes as many open files as it may have, for connections: shells mostly grant 1,024, and more to who asks.
fn open_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Whoever may not has what it has.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

async fn live(settings: Settings, resolve: Resolve<'_>, log: &Log, mut lock: Lock) -> Result<(), DaemonError> {
    let mut signals = Signals::listen()?;
    let telemetry = assemble::telemetry();
    let (bell, committed) = crossbeam_channel::bounded(1);
    let core = assemble::start_core(&settings, &telemetry, bell)?;
    let feed = Feed::start(settings.registry(), committed)?;
    let socket = Socket::listen(&settings.socket, &lock)?;
    lock.say_socket(&settings.socket)?;
    let metrics = telemetry.metrics.as_ref().clone();
    let door = settings.http.map(|address| door(address, &settings)).transpose()?;
    let mail = (settings.relay == RelayKind::Local).then(|| settings.state_dir.clone());
    let places = Places::default();
    let api = Api {
        core: core.clone(),
        metrics,
        registry: settings.registry(),
        mail,
        log: log.clone(),
        feed,
        looks: Looks::default(),
        places: places.clone(),
        door: door.clone(),
    };
    let serving = tokio::spawn(serve(socket, door.map(Tcp::new), api));
    let mut starting = tokio::spawn(first_pass(core.clone()));
    let mut daemon = Daemon { settings, core, log, state: State::Starting };
    systemd::status("starting: looking at everything");
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Reload => daemon.reload(resolve),
                Signal::Continue => daemon.doubt(),
                Signal::Stop => break,
            },
            _ = &mut starting, if daemon.state == State::Starting => daemon.ready(),
        }
    }
    starting.abort();
    daemon.stop(serving, &places, lock).await;
    Ok(())
}

/// Who may come in at the loopback address.
fn door(address: SocketAddr, settings: &Settings) -> Result<Arc<Door>, DaemonError> {
    let door = Door::new(address, &settings.state_dir);
    door.map(Arc::new).map_err(|source| DaemonError::Http { address, source })
}

/// The first pass over everything, tried until it works: what keeps it from working is for the log.
async fn first_pass(core: MeshCore) {
    loop {
        let core = core.clone();
        match spawn_blocking(move || core.reconcile_on_startup()).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::error!("the first pass failed, trying again: {error}"),
            Err(error) => tracing::error!("the first pass failed, trying again: {error}"),
        }
        tokio::time::sleep(START_AGAIN).await;
    }
}

/// Whether every root was watched and swept once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Ready,
}

/// The daemon while it runs.
struct Daemon<'a> {
    settings: Settings,
    core: MeshCore,
    log: &'a Log,
    state: State,
}

impl Daemon<'_> {
    fn ready(&mut self) {
        self.state = State::Ready;
        self.core.start_periodic_reconciliation(self.settings.sweep_interval);
        self.record(EventName::DaemonStarted);
        systemd::ready(READY);
        // Not before: the first look at a large, cold tree may take longer than the watchdog waits.
        tokio::spawn(watchdog::feed(self.core.clone()));
    }

    /// Whoever stopped this process may have done so for long. Not waited for: a pass may be under way.
    fn doubt(&self) {
        let core = self.core.clone();
        spawn_blocking(move || core.doubt());
    }

    /// Not waited for: a pass may be under way.
    fn record(&self, name: EventName) {
        let core = self.core.clone();
        spawn_blocking(move || core.record(Event::new(name)));
    }

    /// Takes over what a changed configuration may change while running. A bad one changes nothing.
    fn reload(&mut self, resolve: Resolve<'_>) {
        systemd::reloading();
        match resolve() {
            Err(error) => {
                tracing::error!("the configuration was not reloaded: {}", Shown::text(&error));
                self.reloaded();
            }
            Ok(settings) => self.change(settings),
        }
    }

    fn change(&mut self, settings: Settings) {
        let before = &self.settings;
        if (&settings.state_dir, &settings.socket, settings.http) != (&before.state_dir, &before.socket, before.http)
            || (settings.watch, settings.log_format, settings.relay) != (before.watch, before.log_format, before.relay)
        {
            tracing::warn!(
                "state_dir, socket, http, watch, relay and log_format only change when the daemon is started again"
            );
        }
        self.log.set_level(settings.log_level.unwrap_or(Level::Info));
        if self.state == State::Ready && settings.sweep_interval != before.sweep_interval {
            self.core.start_periodic_reconciliation(settings.sweep_interval);
        }
        self.settings = Settings {
            state_dir: before.state_dir.clone(),
            socket: before.socket.clone(),
            http: before.http,
            watch: before.watch,
            relay: before.relay,
            log_format: before.log_format,
            ..settings
        };
        // Not waited for: a pass may be under way, and a signal to end is not to wait for it.
        let (core, settings, state) = (self.core.clone(), self.settings.clone(), self.state);
        tokio::spawn(async move {
            match spawn_blocking(move || reconfigure(&core, &settings)).await {
                Ok(Ok(_)) => tracing::info!("the configuration was reloaded"),
                // The settings may be in force, and the pass with them have failed: that is tried again.
                Ok(Err(error)) => tracing::error!("the configuration was not reloaded as a whole: {error}"),
                Err(error) => tracing::error!("the configuration was not reloaded as a whole: {error}"),
            }
            if state == State::Ready {
                systemd::ready(READY);
            }
        });
    }

    fn reloaded(&self) {
        if self.state == State::Ready {
            systemd::ready(READY);
        }
    }

    /// Ends in order: no new requests, an answer to those there are, the pass under way to its end, then the lock.
    async fn stop(self, serving: JoinHandle<Infallible>, places: &Places, lock: Lock) {
        systemd::stopping();
        serving.abort();
        // The socket file goes while the lock is still ours.
        let _ = serving.await;
        if !places.close(TIME_TO_ANSWER).await {
            tracing::warn!("some requests were cut off");
        }
        let core = self.core;
        let stop = move || {
            core.record(Event::new(EventName::DaemonStopping));
            core.stop();
        };
        if tokio::time::timeout(TIME_TO_STOP, spawn_blocking(stop)).await.is_err() {
            // What it has not committed, SQLite takes back. Until it ends with this process, the lock is still its.
            tracing::warn!("the pass under way was cut off after {:.1} s", TIME_TO_STOP.as_secs_f64());
            std::mem::forget(lock);
        }
    }
}

fn reconfigure(core: &MeshCore, settings: &Settings) -> Result<ReconcileResult, String> {
    let known = core.known_roots().map_err(|error| error.to_string())?;
    let scanned = assemble::scanned(settings, known, &[]);
    let policy = settings.policy.clone();
    let (poll_interval, watch_budget) = (settings.poll_interval, settings.watch_budget);
    core.reconfigure(Reconfigure { roots: scanned.roots, kept: scanned.kept, policy, poll_interval, watch_budget })
        .map_err(|error| error.to_string())
}
