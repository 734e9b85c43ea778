//! The engine's thread: waits for announcements, requests and timers, and passes over what they name.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::pass::{Engine, Pass};
use super::requests::Waiting;
use super::schedule::{Doubts, Polls, Suspects, Sweeps, changed_place};
use super::surveying::Surveying;
use super::waiters::Waiter;
use super::{EngineError, ReconcileResult, Reconfigure, Reply, Request, Until, named};
use crate::clock::{Clock, SystemClock, monotonic};
use crate::decide::Policy;
use crate::disk::Tidied;
use crate::registry::{Event, EventName, RegistryError};
use crate::relay::{Desk, RelayFacts, Tally};
use crate::scope::Scope;
use crate::scope::inbox::{Inbox, Waiting as Announced};

/// What the engine needs to know of the watcher, without knowing the watcher.
pub trait Vitals: Send + Sync {
    /// Whether notifications still come through.
    fn beats(&self) -> bool;
    /// Whether anything is watched at all.
    fn is_watching(&self) -> bool;
    /// Directories that are watched.
    fn watched(&self) -> u64;
    /// Directories that should be watched and cannot be.
    fn cold(&self) -> u64;
    /// The most watches that are used.
    fn budget(&self) -> u64;
    /// Whether there are directories of which nothing is heard.
    fn has_unheard(&self) -> bool;
    /// How often notifications were lost.
    fn overflows(&self) -> u64;
    /// What to say while there are not enough watches.
    fn shortage(&self) -> Option<String>;
}

/// What the engine says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Whether every root was watched and swept once.
    pub ready: bool,
    /// When the engine started: milliseconds since 1970.
    pub started_at_ms: i64,
    /// The last sweep.
    pub last_sweep: Option<SweepFacts>,
    /// When the next sweep is due, milliseconds since 1970: in the past while that is under way. None where nothing sweeps
    /// by itself.
    pub next_sweep_at_ms: Option<i64>,
    /// Changes that a sweep found and no event had announced.
    pub missed_events: u64,
    /// Directories that are watched.
    pub watches: u64,
    /// Directories that should be watched and cannot be: they are polled.
    pub cold: u64,
    /// The most watches that are used.
    pub watch_budget: u64,
    /// What is polled for want of watches, and what to do about it: a sentence each.
    pub degraded: Vec<String>,
    /// Why the registry cannot be written at the moment, if so.
    pub registry_error: Option<String>,
    /// How the relay stands; none where there is none.
    pub relay: Option<RelayState>,
    /// Milliseconds for which an unreachable agent is kept.
    pub grace_period_ms: u64,
    /// Milliseconds for which a contested id waits.
    pub relocate_after_ms: u64,
}

/// How the relay stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelayState {
    /// Which one it is.
    pub backend: String,
    /// How many agents are registered and not reached yet.
    pub pending: u64,
    /// What is wrong, in a sentence.
    pub error: Option<String>,
}

impl RelayState {
    fn of(facts: RelayFacts) -> Self {
        let RelayFacts { backend, pending, error } = facts;
        Self { backend: backend.to_owned(), pending, error }
    }
}

/// One sweep.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepFacts {
    /// When it ended: milliseconds since 1970.
    pub at_ms: i64,
    /// Milliseconds that it took.
    pub took_ms: f64,
    /// What it came to.
    pub result: ReconcileResult,
}

/// How many of the last sweeps are remembered: five hours of them, to be drawn.
const MAX_SWEEPS: usize = 60;

/// What the engine's thread shares with its handles.
pub struct Shared {
    pub(super) ready: AtomicBool,
    pub(super) vitals: Arc<dyn Vitals>,
    started_at_ms: i64,
    missed_events: AtomicU64,
    last_sweeps: Mutex<VecDeque<SweepFacts>>,
    next_sweep_at_ms: Mutex<Option<i64>>,
    registry_error: Mutex<Option<String>>,
    relay: Option<Arc<Desk>>,
    policy: Mutex<Policy>,
}

impl Shared {
    /// Nothing happened yet.
    pub fn new(vitals: Arc<dyn Vitals>, policy: Policy, relay: Option<Arc<Desk>>) -> Self {
        Self {
            ready: AtomicBool::new(false),
            vitals,
            started_at_ms: SystemClock::new().now().wall_ms,
            missed_events: AtomicU64::new(0),
            last_sweeps: Mutex::default(),
            next_sweep_at_ms: Mutex::new(None),
            registry_error: Mutex::new(None),
            relay,
            policy: Mutex::new(policy),
        }
    }

    /// The last sweeps, the oldest first.
    pub fn last_sweeps(&self) -> VecDeque<SweepFacts> {
        self.last_sweeps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn swept(&self, sweep: SweepFacts) {
        let mut sweeps = self.last_sweeps.lock().unwrap_or_else(PoisonError::into_inner);
        if sweeps.len() >= MAX_SWEEPS {
            sweeps.pop_front();
        }
        sweeps.push_back(sweep);
    }

    /// Everything at this moment.
    pub fn read(&self) -> Facts {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Facts {
            grace_period_ms: ms(policy.grace_period),
            relocate_after_ms: ms(policy.relocate_after),
            ready: self.ready.load(Ordering::Acquire),
            started_at_ms: self.started_at_ms,
            last_sweep: self.last_sweeps().back().cloned(),
            next_sweep_at_ms: *self.next_sweep_at_ms.lock().unwrap_or_else(PoisonError::into_inner),
            missed_events: self.missed_events.load(Ordering::Relaxed),
            watches: self.vitals.watched(),
            cold: self.vitals.cold(),
            watch_budget: self.vitals.budget(),
            degraded: self.vitals.shortage().into_iter().collect(),
            relay: self.relay.as_ref().map(|relay| RelayState::of(relay.facts())),
            registry_error: self.registry_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// How often the relay was asked for what; none where there is none.
    pub fn relay_tally(&self) -> Option<Tally> {
        self.relay.as_ref().map(|relay| relay.tally())
    }
}

/// The thread's state.
pub struct Runner {
    pub(super) engine: Engine,
    inbox: Inbox,
    requests: Receiver<Request>,
    pub(super) shared: Arc<Shared>,
    bells: Vec<Sender<()>>,
    clock: SystemClock,
    sweeps: Option<Sweeps>,
    polls: Polls,
    doubts: Doubts,
    pub(super) surveying: Surveying,
    suspects: Suspects,
    pub(super) waiters: Vec<Waiter>,
    /// Who waits for the relay.
    pub(super) waiting: Vec<Waiting>,
    retry: Option<Retry>,
    /// When watches of directories that are gone are taken off next.
    tidying: Option<Instant>,
    told: Told,
}

/// What was told of the watcher, so that it is told once.
#[derive(Debug, Default)]
struct Told {
    overflows: u64,
    shortage: bool,
}

/// A scope whose pass failed.
struct Retry {
    scope: Scope,
    due: Instant,
    wait: Duration,
}

/// What a pass was asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Something was announced, or was to be looked at again.
    Announced,
    /// The timer or a person: what such a pass finds was not announced.
    Asked,
    /// A pass over the same scope failed.
    Again,
}

/// How long an ending engine waits for the relay to hear of what changed last. What it does not hear it is told at the next
/// start.
const RELAY_WITHIN: Duration = Duration::from_secs(2);

/// Between two steps of tidying up: a change that comes in meanwhile waits for one step at most.
const TIDY_PAUSE: Duration = Duration::from_millis(50);

/// How long after a failed pass it is tried again, at first and at most.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

impl Runner {
    /// A thread's state at its start.
    pub fn new(
        engine: Engine,
        inbox: Inbox,
        requests: Receiver<Request>,
        shared: Arc<Shared>,
        bells: Vec<Sender<()>>,
    ) -> Self {
        let (clock, suspects, waiters) = (SystemClock::new(), Suspects::default(), Vec::new());
        let polls = Polls::every(engine.poll_interval());
        Self {
            engine,
            inbox,
            requests,
            shared,
            bells,
            clock,
            sweeps: None,
            polls,
            doubts: Doubts::default(),
            surveying: Surveying::default(),
            suspects,
            waiters,
            waiting: Vec::new(),
            retry: None,
            tidying: None,
            told: Told::default(),
        }
    }

    /// Runs until it is told to stop, or nobody is left who could ask.
    pub fn run(mut self) {
        loop {
            let wait = if self.surveying.is_under_way() {
                Duration::ZERO
            } else {
                let next = self.next_deadline();
                next.map_or(Duration::from_hours(1), |next| next.saturating_duration_since(monotonic()))
            };
            select! {
                recv(self.inbox.bell()) -> _ => {}
                recv(self.requests) -> request => match request {
                    Ok(request) => if self.serve(request).is_break() { return },
                    Err(_) => return,
                },
                default(wait) => {}
            }
            self.announced();
            self.timers();
            self.survey();
            self.answer();
        }
    }

    fn serve(&mut self, request: Request) -> ControlFlow<()> {
        match request {
            Request::Work(work) => {
                work(self);
                ControlFlow::Continue(())
            }
            Request::Stop { reply } => {
                if let Err(error) = self.engine.flush() {
                    tracing::error!("registry: {error}");
                }
                self.engine.finish_relay(RELAY_WITHIN);
                let _ = reply.send(Ok(()));
                ControlFlow::Break(())
            }
        }
    }

    /// Makes one pass, and answers when that is over or has settled.
    pub(super) fn reconcile(&mut self, scope: Scope, until: Until, reply: Reply<ReconcileResult>) {
        if let Some(stray) = named(&scope).find(|path| !self.engine.is_under_a_root(path)) {
            let _ = reply.send(Err(EngineError::NotUnderARoot(stray.to_owned())));
            return;
        }
        if scope.is_everything() {
            let sweep = self.sweep(Occasion::Asked);
            self.wait_for_sweep(sweep, until, reply);
        } else {
            self.wait_for(until, reply);
            self.pass(scope, Occasion::Asked, None);
        }
    }

    /// Accepts a root, and answers when what is there was looked at.
    pub(super) fn accept_root(&mut self, root: PathBuf, reply: Reply<ReconcileResult>) {
        if self.engine.accept_root(&root) {
            self.wait_for(Until::Settled, reply);
            self.pass(Scope::below(root), Occasion::Announced, None);
        } else {
            let _ = reply.send(Err(EngineError::NotUnderARoot(root)));
        }
    }

    /// Takes other settings, and answers when everything was passed over with them.
    pub(super) fn reconfigure(&mut self, settings: Reconfigure, reply: Reply<ReconcileResult>) {
        *self.shared.policy.lock().unwrap_or_else(PoisonError::into_inner) = settings.policy.clone();
        self.polls = Polls::every(settings.poll_interval);
        let done = self.engine.reconfigure(settings);
        let sweep = self.sweep(Occasion::Announced);
        match done {
            Ok(()) => self.wait_for_sweep(sweep, Until::Passed, reply),
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    /// Sweeps so often by itself, or no more.
    pub(super) fn sweep_every(&mut self, interval: Option<Duration>) {
        self.sweeps = interval.map(|interval| Sweeps::every(interval, monotonic()));
        self.say_next_sweep();
    }

    /// Says when the next sweep is due, by the clock that others read.
    fn say_next_sweep(&self) {
        let at_ms = self.sweeps.as_ref().map(|sweeps| {
            let wait = sweeps.due().saturating_duration_since(monotonic());
            self.clock.now().wall_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
        });
        *self.shared.next_sweep_at_ms.lock().unwrap_or_else(PoisonError::into_inner) = at_ms;
    }

    /// Passes over what was announced, with what was to be looked at again by now.
    fn announced(&mut self) {
        let Announced { mut scope, since, doubt, remounted } = self.inbox.take();
        self.suspects.announced(&scope);
        if doubt {
            self.doubts.ask(monotonic());
        }
        if !remounted.is_empty() {
            self.engine.remounted(&remounted);
            self.sweep(Occasion::Announced);
        }
        scope.merge(self.engine.due());
        scope.merge(self.engine.end_run_out());
        if let Some(retry) = self.retry.take_if(|retry| retry.due <= monotonic()) {
            scope.merge(retry.scope);
            self.try_pass(scope, Occasion::Again, since, retry.wait.saturating_mul(2).min(RETRY.1));
        } else if !scope.is_nothing() {
            self.pass(scope, Occasion::Announced, since);
        }
    }

    fn timers(&mut self) {
        let now = monotonic();
        if self.sweeps.as_ref().is_some_and(|sweeps| sweeps.due() <= now) && !self.surveying.is_sweeping() {
            self.sweep(Occasion::Asked);
        }
        if self.doubts.is_due(now) {
            self.sweep(Occasion::Announced);
        }
        if self.shared.vitals.has_unheard() && self.polls.is_due(now) && !self.surveying.is_under_way() {
            self.poll();
        }
        if self.tidying.is_some_and(|due| due <= now) {
            self.tidying = match self.engine.tidy() {
                Tidied::All => None,
                Tidied::Some => Some(monotonic() + TIDY_PAUSE),
            };
        }
        self.stop_waiting();
        let missed = self.suspects.missed(monotonic());
        if missed > 0 {
            self.shared.missed_events.fetch_add(missed, Ordering::Relaxed);
            self.engine.telemetry.missed(missed);
        }
    }

    pub(super) fn pass(&mut self, scope: Scope, occasion: Occasion, since: Option<Instant>) {
        self.try_pass(scope, occasion, since, RETRY.0);
    }

    fn try_pass(&mut self, scope: Scope, occasion: Occasion, since: Option<Instant>, retry_in: Duration) {
        if scope.is_everything() {
            self.sweep_or_retry(occasion, retry_in);
            return;
        }
        let begun = monotonic();
        match self.engine.reconcile(&scope) {
            Ok(pass) => {
                let (places, changes) = (named(&scope).count(), pass.outcome.applied.len());
                self.engine.telemetry.passed(places, changes, begun.elapsed());
                self.passed(&scope, occasion, &pass, since);
            }
            Err(error) => self.failed(scope, &error, retry_in),
        }
    }

    /// What follows a pass.
    pub(super) fn passed(&mut self, scope: &Scope, occasion: Occasion, pass: &Pass, since: Option<Instant>) {
        let now = monotonic();
        // A pass that had nothing to write says nothing about whether it could have.
        let wrote = !pass.outcome.applied.is_empty() || occasion == Occasion::Again;
        if wrote && self.registry_error(None).is_some() {
            tracing::info!("the registry can be written again");
        }
        for waiter in &mut self.waiters {
            waiter.result.add(&pass.result);
        }
        if !pass.outcome.applied.is_empty() {
            if let Some(since) = since {
                self.engine.telemetry.committed(now.saturating_duration_since(since));
            }
            self.ring();
        }
        self.tidying = Some(now + TIDY_PAUSE);
        if std::mem::take(&mut self.engine.failed) {
            // When it can be looked at again, nothing tells.
            self.doubts.ask(now);
        }
        self.tell_of_watcher();
        if !pass.outcome.failed.is_empty() {
            let scope = scope.clone();
            self.retry = Some(Retry { scope, due: now + RETRY.1, wait: RETRY.1 });
        }
    }

    /// What follows a sweep, which took so long and was at work for so much of that.
    pub(super) fn swept(&mut self, occasion: Occasion, pass: &Pass, took: Duration, at_work: Duration) {
        let now = monotonic();
        let is_first = !self.shared.ready.load(Ordering::Acquire);
        if occasion == Occasion::Asked && !is_first && self.shared.vitals.is_watching() && !pass.explains_itself() {
            // What was announced and could not be written is no miss.
            let waits = |place: &&Path| self.retry.as_ref().is_some_and(|retry| retry.scope.covers(place));
            let found = pass.outcome.applied.iter().filter_map(changed_place).filter(|place| !waits(place));
            self.suspects.add(found.map(PathBuf::from).collect(), now);
        }
        if let Some(sweeps) = &mut self.sweeps {
            sweeps.plan_next(at_work, now);
        }
        self.say_next_sweep();
        self.engine.telemetry.swept(took);
        let (at_ms, took_ms) = (self.clock.now().wall_ms, took.as_secs_f64() * 1_000.0);
        let sweep = SweepFacts { at_ms, took_ms, result: pass.result };
        self.shared.swept(sweep);
    }

    /// What follows a poll that was at work for so long.
    pub(super) fn polled(&mut self, at_work: Duration) {
        self.polls.plan_next(at_work, monotonic());
    }

    /// Sweeps soon: anything may have changed unannounced.
    pub(super) fn doubt(&mut self) {
        self.doubts.ask(monotonic());
    }

    /// Asks for a checkpoint: something was committed.
    pub(super) fn ring(&self) {
        for bell in &self.bells {
            // Full means that it was rung already.
            let _ = bell.try_send(());
        }
    }

    /// Tells once that notifications were lost, or that directories cannot be watched.
    fn tell_of_watcher(&mut self) {
        let vitals = self.shared.vitals.clone();
        let lost = vitals.overflows().saturating_sub(self.told.overflows);
        if lost > 0 {
            self.told.overflows = vitals.overflows();
            let why = "notifications were lost: everything is looked at instead";
            self.engine.record(&Event::new(EventName::WatchOverflow).with("why", why));
        }
        let shortage = vitals.shortage();
        match &shortage {
            Some(why) if !self.told.shortage => {
                self.engine.record(&Event::new(EventName::WatchLimit).with("why", why));
            }
            None if self.told.shortage => tracing::info!("every directory is watched again"),
            Some(_) | None => {}
        }
        self.told.shortage = shortage.is_some();
        if vitals.has_unheard() {
            self.polls.begin(monotonic());
        } else {
            self.polls.end();
        }
    }

    pub(super) fn failed(&mut self, scope: Scope, error: &RegistryError, wait: Duration) {
        let text = error.to_string();
        self.engine.telemetry.registry_failed();
        if self.registry_error(Some(text.clone())).as_ref() != Some(&text) {
            tracing::error!("the registry cannot be written, trying again: {text}");
        }
        for waiter in self.waiters.drain(..) {
            let _ = waiter.reply.send(Err(EngineError::Registry(text.clone())));
        }
        let mut scope = scope;
        if matches!(error, RegistryError::Corrupt(_)) && self.engine.rebuild().is_ok() {
            scope = Scope::everything();
        }
        if let Some(earlier) = self.retry.take() {
            scope.merge(earlier.scope);
        }
        self.retry = Some(Retry { scope, due: monotonic() + wait, wait });
    }

    /// Replaces what is said of the registry, and returns what was said before.
    fn registry_error(&self, now: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.shared.registry_error.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let now = monotonic();
        let sweep = self.sweeps.as_ref().map(Sweeps::due);
        let (poll, doubt, settled) = (self.polls.due(), self.doubts.due(), self.inbox.next());
        let look = self.engine.next_look().map(|wait| now + wait);
        let hold = self.engine.next_run_out().map(|wait| now + wait);
        let retry = self.retry.as_ref().map(|retry| retry.due);
        let waiter = self.waiters.iter().map(|waiter| waiter.deadline).min();
        let relay = self.next_to_stop_waiting();
        let deadlines =
            [sweep, poll, doubt, settled, look, hold, relay, retry, waiter, self.tidying, self.suspects.next()];
        deadlines.into_iter().flatten().min()
    }
}
