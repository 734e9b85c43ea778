//! The engine thread's part of surveys: which one is under way, and what follows when it is over. Between two of its steps
//! everything else has its turn.

use std::time::{Duration, Instant};

use super::run::{Occasion, RETRY, Runner};
use super::survey::{Progress, Survey};
use crate::clock::monotonic;
use crate::decide::Reach;
use crate::scope::Scope;

/// Which survey is under way.
#[derive(Debug, Default)]
pub struct Surveying {
    now: Option<UnderWay>,
    /// What the next sweep was asked for by, where one was asked for while another was under way.
    next: Option<Occasion>,
    /// How many sweeps have ended.
    ended: u64,
}

#[derive(Debug)]
struct UnderWay {
    survey: Survey,
    occasion: Occasion,
    begun: Instant,
    at_work: Duration,
    /// How long after a failure it is tried again.
    retry_in: Duration,
}

impl Surveying {
    /// Whether one is under way.
    pub fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// Whether it is a sweep.
    pub fn is_sweeping(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.survey.reach() == Reach::Everything)
    }

    /// How many sweeps have ended.
    pub fn ended(&self) -> u64 {
        self.ended
    }
}

impl Runner {
    /// Sweeps everything, from now on or after the sweep that is under way, which may have passed by what this is about.
    /// Returns the number of the sweep that will have seen it.
    pub(super) fn sweep(&mut self, occasion: Occasion) -> u64 {
        self.sweep_or_retry(occasion, RETRY.0)
    }

    /// The same; should it fail it is tried again after `retry_in`.
    pub(super) fn sweep_or_retry(&mut self, occasion: Occasion, retry_in: Duration) -> u64 {
        if self.surveying.is_sweeping() {
            self.surveying.next = Some(occasion);
            return self.surveying.ended.saturating_add(2);
        }
        // A poll that is under way would see less.
        self.surveying.now = None;
        let begun = monotonic();
        match self.engine.begin_sweep() {
            Ok(survey) => {
                let at_work = begun.elapsed();
                self.surveying.now = Some(UnderWay { survey, occasion, begun, at_work, retry_in });
            }
            Err(error) => self.failed(Scope::everything(), &error, retry_in),
        }
        self.surveying.ended.saturating_add(1)
    }

    /// Looks at what nothing is heard of.
    pub(super) fn poll(&mut self) {
        let begun = monotonic();
        let (survey, occasion) = (self.engine.begin_poll(), Occasion::Announced);
        let at_work = begun.elapsed();
        self.surveying.now = Some(UnderWay { survey, occasion, begun, at_work, retry_in: RETRY.0 });
    }

    /// One step of the survey that is under way.
    pub(super) fn survey(&mut self) {
        let Some(mut now) = self.surveying.now.take() else { return };
        let started = monotonic();
        if self.engine.step(&mut now.survey) == Progress::More {
            now.at_work = now.at_work.saturating_add(started.elapsed());
            self.surveying.now = Some(now);
            return;
        }
        let UnderWay { survey, occasion, begun, at_work, retry_in } = now;
        let reach = survey.reach();
        match self.engine.end_survey(survey) {
            Ok(pass) => {
                let (took, at_work) = (begun.elapsed(), at_work.saturating_add(started.elapsed()));
                match reach {
                    Reach::Everything => {
                        self.surveying.ended = self.surveying.ended.saturating_add(1);
                        self.passed(&Scope::everything(), occasion, &pass, None);
                        self.swept(occasion, &pass, took, at_work);
                    }
                    Reach::Part => {
                        self.passed(&Scope::everything(), occasion, &pass, None);
                        self.polled(at_work);
                    }
                }
            }
            Err(error) => self.failed(Scope::everything(), &error, retry_in),
        }
        if let Some(occasion) = self.surveying.next.take() {
            self.sweep(occasion);
        }
    }
}
