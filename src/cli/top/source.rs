//! Where what is shown comes from: the registry, read on one thread, and the daemon, asked on another. Neither holds up
//! the screen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::line::{AgentLine, EventLine, RootLine};
use crate::agent::Shown;
use crate::api::client::{Client, ClientError};
use crate::cli::explain;
use crate::clock::{Clock, SystemClock, monotonic};
use crate::config::Settings;
use crate::registry::{Filter, Reader, RegistryError};
use crate::report::DaemonFacts;

/// How often the registry is asked whether it changed. Asking is one read of shared memory.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How soon the agents are read again at the earliest: 10,000 of them are some 60 ms of work.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Of the time, reading takes one part in so many at most, however many agents there are.
const SHARE: u32 = 10;

/// How soon they are read again at the latest: an agent that is not heard of becomes inactive by itself.
const READ_ANYWAY: Duration = Duration::from_secs(30);

/// How often the file is opened anew: a connection goes on saying what it read before, however the file is now.
const OPEN_AGAIN: Duration = Duration::from_secs(3);

/// How often the daemon is asked how it is.
const ASK_DAEMON_EVERY: Duration = Duration::from_secs(2);

/// Events that are read at once, and of those before now.
const EVENTS: usize = 500;

/// What waits for the screen. It is drained ten times a second; a source that is ahead of it waits.
const WAITING: usize = 16;

/// What is told of the registry or the daemon.
#[derive(Debug)]
pub enum Told {
    /// All agents, the roots and what needs a person, as they are now.
    Agents { agents: Vec<AgentLine>, roots: Vec<RootLine>, problems: usize },
    /// What happened, in the order in which it did.
    Events(Vec<EventLine>),
    /// There is another registry: what was told is not so any more.
    Anew,
    /// The registry cannot be read, and why.
    NoRegistry(String),
    /// How the daemon is; an error in a sentence, none where there is no daemon.
    Daemon(Result<Box<DaemonFacts>, Option<String>>),
    /// Why an agent is as it is: what each line is about, and what there is to say.
    Story(PathBuf, Vec<[String; 2]>),
}

/// What tells.
pub struct Source {
    told: Receiver<Told>,
    asked: Sender<PathBuf>,
    threads: [JoinHandle<()>; 2],
}

impl Source {
    /// Starts to read and to ask.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let (tell, told) = sync_channel(WAITING);
        let (asked, asks) = channel();
        let facts = Arc::new(Mutex::new(None));
        let client = Client::new(&settings.socket, &settings.state_dir);
        let (to_screen, last) = (tell.clone(), Arc::clone(&facts));
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let daemon = thread("daemon").spawn(move || ask_daemon(&client, &last, &to_screen))?;
        let registry = Registry { settings, clock: SystemClock::new(), facts, tell, asks };
        let registry = thread("registry").spawn(move || registry.read())?;
        Ok(Self { told, asked, threads: [daemon, registry] })
    }

    /// Whether there is somebody who tells: threads end with the screen, or by a panic.
    pub fn goes_on(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// What was told next, if anything.
    pub fn next(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }

    /// Asks why the agent at a project is as it is. The answer comes as any other thing that is told.
    pub fn explain(&self, project: PathBuf) {
        // Where the thread is gone, nothing is told any more, and that is seen.
        let _ = self.asked.send(project);
    }
}

/// The screen is gone.
struct Gone;

fn ask_daemon(client: &Client, last: &Mutex<Option<DaemonFacts>>, tell: &SyncSender<Told>) {
    loop {
        let facts = client.facts();
        if let Ok(mut last) = last.lock() {
            *last = facts.as_ref().ok().cloned();
        }
        let told = facts.map(Box::new);
        let told = told.map_err(|error| (!matches!(error, ClientError::NoDaemon(_))).then(|| error.to_string()));
        if tell.send(Told::Daemon(told)).is_err() {
            return;
        }
        std::thread::sleep(ASK_DAEMON_EVERY);
    }
}

/// Reads the registry, whichever is there.
struct Registry {
    settings: Settings,
    clock: SystemClock,
    facts: Arc<Mutex<Option<DaemonFacts>>>,
    tell: SyncSender<Told>,
    asks: Receiver<PathBuf>,
}

impl Registry {
    fn read(&self) {
        let file = self.settings.registry();
        let mut said = None;
        loop {
            let why = match Reader::open(&file) {
                Ok(reader) => {
                    said = None;
                    match self.follow(&reader) {
                        Ok(()) => continue,
                        Err(Ended::Gone) => return,
                        Err(Ended::Failed(error)) => sentence(&error),
                    }
                }
                Err(error) => sentence(&error),
            };
            if said.as_ref() != Some(&why) && self.say(Told::NoRegistry(why.clone())).is_err() {
                return;
            }
            said = Some(why);
            match self.asks.recv_timeout(READ_AGAIN) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Tells what is new until the file is another one.
    fn follow(&self, reader: &Reader) -> Result<(), Ended> {
        let file = self.settings.registry();
        // What cannot be read is not begun with.
        reader.stats(&self.clock.now())?;
        self.say(Told::Anew)?;
        let mut after = reader.last_seq()?.saturating_sub(u64::try_from(EVENTS).unwrap_or(0));
        let (mut seen, mut is_stale, mut read) = (None, true, None::<(Instant, Duration)>);
        let (mut opened, mut opening) = (monotonic(), Duration::ZERO);
        while reader.is_same_file(&file) {
            let version = reader.data_version()?;
            if seen != Some(version) {
                (seen, is_stale) = (Some(version), true);
                self.tell_events(reader, &mut after)?;
            }
            let (ago, took) = read.map_or((Duration::MAX, Duration::ZERO), |(at, took)| (at.elapsed(), took));
            if ago >= READ_ANYWAY || (is_stale && ago >= READ_AGAIN.max(took.saturating_mul(SHARE))) {
                let begun = monotonic();
                self.tell_agents(reader)?;
                (is_stale, read) = (false, Some((monotonic(), begun.elapsed())));
            }
            if opened.elapsed() >= OPEN_AGAIN.max(opening.saturating_mul(SHARE)) {
                let begun = monotonic();
                // Not opened as one that is new: closing that would drop the locks of the one that is read.
                Reader::beside(&file)?.stats(&self.clock.now())?;
                (opened, opening) = (monotonic(), begun.elapsed());
            }
            match self.asks.recv_timeout(ASK_EVERY) {
                Ok(project) => self.tell_story(reader, project)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Ended::Gone),
            }
        }
        Ok(())
    }

    fn tell_events(&self, reader: &Reader, after: &mut u64) -> Result<(), Ended> {
        loop {
            let events = reader.events_after(*after, EVENTS)?;
            let Some(last) = events.last() else { return Ok(()) };
            *after = last.seq;
            let is_last = events.len() < EVENTS;
            self.say(Told::Events(events.into_iter().map(EventLine::of).collect()))?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn tell_agents(&self, reader: &Reader) -> Result<(), Ended> {
        let now = self.clock.now();
        let records = reader.list(&Filter::default(), &now)?;
        let mut below: BTreeMap<&[u8], u64> = BTreeMap::new();
        for record in &records {
            let count = below.entry(&record.columns.scan_root).or_default();
            *count = count.saturating_add(1);
        }
        let agents_of = |root: &std::path::Path| {
            below.get(std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str())).copied().unwrap_or(0)
        };
        let roots = reader.roots()?.into_iter().filter(|root| root.configured);
        let roots = roots.map(|root| RootLine::of(&root, agents_of(&root.path))).collect();
        let problems = reader.problems()?.len();
        let agents = records.iter().map(|record| AgentLine::of(record, &now)).collect();
        Ok(self.say(Told::Agents { agents, roots, problems })?)
    }

    fn tell_story(&self, reader: &Reader, project: PathBuf) -> Result<(), Ended> {
        let record = reader.get_by_path(&project)?;
        let facts = self.facts.lock().ok().and_then(|facts| facts.clone());
        let times = explain::times(&self.settings, facts.as_ref());
        let story = explain::story_of(reader, record.as_ref(), &project, &self.settings, &self.clock.now(), times)?;
        let lines = explain::lines(&story).into_iter().map(|line| line.map(|text| Shown::text(&text).to_string()));
        let lines = lines.collect();
        Ok(self.say(Told::Story(project, lines))?)
    }

    fn say(&self, told: Told) -> Result<(), Gone> {
        self.tell.send(told).map_err(|_| Gone)
    }
}

/// Why a registry is followed no more.
enum Ended {
    Gone,
    Failed(RegistryError),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<RegistryError> for Ended {
    fn from(error: RegistryError) -> Self {
        Self::Failed(error)
    }
}

fn sentence(error: &RegistryError) -> String {
    Shown::text(&error.to_string()).to_string()
}
