//! What a command does itself where no daemon is running, under the lock for as long as it needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CliError;
use crate::api::client::{Client, ClientError};
use crate::clock::{Clock, SystemClock, monotonic};
use crate::config::Settings;
use crate::daemon::assemble::{self, Unwatched};
use crate::decide::Action;
use crate::engine::{Engine, EngineError, ReconcileResult};
use crate::lock::{Holder, Lock, LockError, What};
use crate::registry::{AgentRegistry, Durability, Imported, Taken};
use crate::scope::Scope;

/// How long a command waits for another one, and for a daemon that has the lock but does not listen yet.
const WAIT: Duration = Duration::from_secs(10);

/// How often a daemon that does not listen yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Has the daemon do it, or does it under the lock if none is running.
pub fn through_daemon_or_locked<T>(
    settings: &Settings,
    ask: impl Fn(&Client) -> Result<T, ClientError>,
    here: impl FnOnce(&Lock) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let daemon = Client::new(&settings.socket, &settings.state_dir);
    let begun = monotonic();
    loop {
        match ask(&daemon) {
            Err(ClientError::NoDaemon(_)) => {}
            answer => return Ok(answer?),
        }
        match Lock::take(&settings.state_dir, What::Command, WAIT) {
            Ok(lock) => return here(&lock),
            // It was started just now, or is just ending: either its socket is there soon, or its lock is free.
            Err(LockError::Held { holder: Some(Holder { what: What::Daemon, .. }), .. }) if begun.elapsed() < WAIT => {
                std::thread::sleep(ASK_AGAIN);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// One pass over `named` and what is below them, over everything where there are none. Named roots that are new are
/// remembered.
pub fn reconcile(settings: &Settings, named: &[PathBuf], _witness: &Lock) -> Result<ReconcileResult, CliError> {
    let (mut engine, scope) = engine(settings, named)?;
    let result = engine.reconcile_until_settled(&scope)?;
    engine.flush()?;
    Ok(result)
}

/// Says that what is at `root` is meant, and makes one pass over everything.
pub fn accept_root(settings: &Settings, root: &Path, _witness: &Lock) -> Result<ReconcileResult, CliError> {
    let (mut engine, scope) = engine(settings, &[])?;
    if !engine.accept_root(root) {
        return Err(EngineError::NotUnderARoot(root.to_owned()).into());
    }
    let result = engine.reconcile_until_settled(&scope)?;
    engine.flush()?;
    Ok(result)
}

/// Takes over what was read from a DorkOS database. No pass follows: the next one sees what was denied.
pub fn import(settings: &Settings, imported: &Imported, _witness: &Lock) -> Result<Taken, CliError> {
    let now = SystemClock::new().now();
    let (mut registry, opened) = AgentRegistry::open(&settings.registry(), &now)?;
    assemble::telemetry().registry_opened(&opened);
    // No file could bring it back.
    Ok(registry.transact(Durability::Synced, |batch| batch.import(imported, &now))?)
}

/// What a pass would do: makes it on a copy of the registry in memory. It takes no lock, and nothing is changed or told.
pub fn plan(settings: &Settings, named: &[PathBuf]) -> Result<Vec<Action>, CliError> {
    let registry = AgentRegistry::in_memory_copy(&settings.registry())?;
    let (roots, scope) = roots_and_scope(settings, &registry, named)?;
    let setup = assemble::setup(settings, registry, roots, None, Box::new(Unwatched), assemble::telemetry());
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), || {
        let mut engine = Engine::new(setup)?;
        let mut actions = engine.reconcile(&scope)?.outcome.applied;
        // What settles by itself within moments is no finding yet.
        while let Some(wait) = engine.next_look().filter(|_| engine.is_settling()) {
            std::thread::sleep(wait);
            let again = engine.due();
            actions.extend(engine.reconcile(&again)?.outcome.applied);
        }
        Ok(actions)
    })
}

fn engine(settings: &Settings, named: &[PathBuf]) -> Result<(Engine, Scope), CliError> {
    let telemetry = assemble::telemetry();
    let (registry, opened) = AgentRegistry::open(&settings.registry(), &SystemClock::new().now())?;
    telemetry.registry_opened(&opened);
    let (roots, scope) = roots_and_scope(settings, &registry, named)?;
    let file = Some(settings.registry());
    let engine = Engine::new(assemble::setup(settings, registry, roots, file, Box::new(Unwatched), telemetry))?;
    Ok((engine, scope))
}

/// The configured roots with those that are named for the first time, and how much of them is to be looked at.
fn roots_and_scope(
    settings: &Settings,
    registry: &AgentRegistry,
    named: &[PathBuf],
) -> Result<(Vec<PathBuf>, Scope), CliError> {
    let mut roots = assemble::roots(settings, registry)?;
    for root in named {
        if !roots.iter().any(|known| root.starts_with(known)) {
            roots.push(root.clone());
        }
    }
    if roots.is_empty() {
        // Perhaps the registry that remembered them was lost: to say that nothing changed would be wrong.
        return Err(CliError::NoRoots);
    }
    // Who names every root means everything: only a pass over everything removes what is gone for long.
    if roots.iter().all(|root| named.iter().any(|named| root.starts_with(named))) || named.is_empty() {
        return Ok((roots, Scope::everything()));
    }
    let mut scope = Scope::nothing();
    for root in named {
        scope.merge(Scope::below(root.clone()));
    }
    Ok((roots, scope))
}
