//! What a command does itself where no daemon is running, under the lock for as long as it needs.

use std::path::PathBuf;
use std::time::Duration;

use super::{CliError, systems};
use crate::agent::Shown;
use crate::api::client::{Client, ClientError};
use crate::clock::monotonic;
use crate::config::Settings;
use crate::daemon::assemble::{self, Scanned};
use crate::decide::Action;
use crate::disk::Unwatched;
use crate::engine::{Engine, MeshCore, ReconcileResult};
use crate::lock::{Holder, Lock, LockError, What};
use crate::registry::{AgentRegistry, Reader, RegistryError};
use crate::scope::Scope;

/// How long a command waits for another one, and for a daemon that has the lock but does not listen yet.
const WAIT: Duration = Duration::from_secs(10);

/// How often a daemon that does not listen yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Has the daemon do it, or does it here if none is running: with an engine that watches nothing, under the lock.
pub fn through_daemon_or_core<T>(
    settings: &Settings,
    ask: impl Fn(&Client) -> Result<T, CliError>,
    here: impl Fn(&MeshCore) -> Result<T, CliError>,
) -> Result<T, CliError> {
    through_daemon_or_core_with(settings, &[], ask, |core, _| here(core))
}

/// The same, where the scan roots that are `named` are remembered.
fn through_daemon_or_core_with<T>(
    settings: &Settings,
    named: &[PathBuf],
    ask: impl Fn(&Client) -> Result<T, CliError>,
    here: impl Fn(&MeshCore, &Scanned) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let daemon = Client::new(&settings.socket, &settings.state_dir);
    let begun = monotonic();
    loop {
        // What follows may take more than one request: first of all, is anybody there?
        match daemon.facts() {
            Err(ClientError::NoDaemon(_)) => {}
            Ok(_) => return ask(&daemon),
            Err(error) => return Err(error.into()),
        }
        match Lock::take(&settings.state_dir, What::Command, WAIT) {
            Ok(lock) => {
                let is_new = matches!(Reader::open(&settings.registry()), Err(RegistryError::Missing(_)));
                let (core, scanned) = assemble::core_for_command(settings, named)?;
                let done = here(&core, &scanned);
                core.stop();
                drop(lock);
                if is_new && systems::is_elsewhere(settings) {
                    let made = settings.registry();
                    tracing::warn!("{} was made and is a registry of its own; {}", Shown::path(&made), systems::ASKED);
                }
                return done;
            }
            // It was started just now, or is just ending: either its socket is there soon, or its lock is free.
            Err(LockError::Held { holder: Some(Holder { what: What::Daemon, .. }), .. }) if begun.elapsed() < WAIT => {
                std::thread::sleep(ASK_AGAIN);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// One pass over `named` and what is below them, over everything where there are none. Named roots that are new are
/// remembered by a pass that is made here.
pub fn reconcile(
    settings: &Settings,
    named: &[PathBuf],
    ask: impl Fn(&Client) -> Result<ReconcileResult, ClientError>,
) -> Result<ReconcileResult, CliError> {
    // A root that the configuration names may come later. One that is named here and is not there is a slip.
    if let Some(missing) = named.iter().find(|root| !root.is_dir() && !settings.roots.contains(root)) {
        return Err(CliError::NoSuchRoot(missing.clone()));
    }
    let here = |core: &MeshCore, scanned: &Scanned| Ok(core.reconcile(scope_of(scanned, named)?)?);
    through_daemon_or_core_with(settings, named, |daemon| Ok(ask(daemon)?), here)
}

/// What a pass would do: makes it on a copy of the registry in memory. It takes no lock, and nothing is changed or told.
pub fn plan(settings: &Settings, named: &[PathBuf]) -> Result<Vec<Action>, CliError> {
    let registry = AgentRegistry::in_memory_copy(&settings.registry())?;
    let scanned = assemble::scanned(settings, registry.roots()?, named);
    let scope = scope_of(&scanned, named)?;
    let setup = assemble::setup(settings, registry, scanned, None, Box::new(Unwatched), assemble::telemetry());
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

/// How much of the scan roots is to be looked at where these are named.
fn scope_of(scanned: &Scanned, named: &[PathBuf]) -> Result<Scope, CliError> {
    if scanned.roots.is_empty() {
        // Perhaps the registry that remembered them was lost: to say that nothing changed would be wrong.
        return Err(CliError::NoRoots);
    }
    // Who names every root means everything: only a pass over everything removes what is gone for long.
    let is_alone = |root: &PathBuf| scanned.kept.alone().any(|alone| alone == root);
    let is_named = |root: &PathBuf| named.iter().any(|named| root.starts_with(named));
    if named.is_empty() || scanned.roots.iter().all(|root| is_alone(root) || is_named(root)) {
        return Ok(Scope::everything());
    }
    let mut scope = Scope::nothing();
    for root in named {
        scope.merge(Scope::below(root.clone()));
    }
    Ok(scope)
}
