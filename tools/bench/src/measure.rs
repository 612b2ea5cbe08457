//! Rounds: in each, every subject starts a few times and answers a batch of calls, one subject after the other. What
//! else the machine does meets all of them alike, and the ratios of one round are worth more than those of two runs.

use std::time::Duration;

use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;
use serde::Serialize;
use shared::BoxError;
use shared::password::{Cost, Password, PasswordHash};

use crate::instance::{Around, Instance};
use crate::process;
use crate::stage::PASSWORD;
use crate::subject::Subject;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// In each round.
    pub(crate) starts: usize,
    /// In each round.
    pub(crate) calls: usize,
}

impl Plan {
    /// For figures that are written down.
    pub(crate) const FULL: Self = Self { rounds: 25, starts: 8, calls: 200 };
    /// For a first look.
    pub(crate) const QUICK: Self = Self { rounds: 5, starts: 4, calls: 100 };

    /// A slow call takes as long as a thousand others, and so does the start of a peer.
    fn of(self, subject: &Subject) -> Self {
        if subject.slow {
            Self { starts: 1, calls: 2, ..self }
        } else if subject.peer_of.is_some() {
            Self { starts: 2, ..self }
        } else {
            self
        }
    }
}

/// What one round says of a subject: times in nanoseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Round {
    /// From the start of a process to its first answer.
    pub(crate) cold: Vec<u64>,
    /// From an event to its answer.
    pub(crate) warm: Vec<u64>,
    /// On the core, for a warm call.
    pub(crate) cpu: u64,
}

/// What all rounds say of a subject.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timed {
    pub(crate) rounds: Vec<Round>,
    /// KiB.
    pub(crate) peak_memory: u64,
}

/// The work that nobody can save.
pub(crate) struct BareHash {
    hash: PasswordHash,
    password: Password,
}

impl BareHash {
    /// Of this cost.
    pub(crate) fn new(cost: u8) -> Result<Self, BoxError> {
        let password = Password::new(PASSWORD.to_owned())?;
        let hash = PasswordHash::renew(&password, Cost::new(cost)?, &mut UnwrapErr(SysRng));
        Ok(Self { hash, password })
    }

    /// What one verification takes of a core.
    pub(crate) fn cpu(&self) -> Result<Duration, BoxError> {
        let before = process::own_cpu()?;
        let right = self.hash.verify(&self.password);
        let after = process::own_cpu()?;
        if right { Ok(after.saturating_sub(before)) } else { Err("a hash that isn't its password's".into()) }
    }
}

/// Measures the subjects; `each_round` gets a call before every round.
pub(crate) fn measure(
    subjects: &[Subject],
    plan: Plan,
    mut each_round: impl FnMut(usize) -> Result<(), BoxError>,
) -> Result<Vec<Timed>, BoxError> {
    let mut instances = Vec::new();
    for subject in subjects {
        let mut instance = Instance::start(subject, &Around::default())?;
        warm_up(&mut instance, plan.of(subject))?;
        instances.push((instance, Timed { rounds: Vec::new(), peak_memory: 0 }));
    }
    for round in 0..plan.rounds {
        each_round(round)?;
        for (subject, (instance, timed)) in subjects.iter().zip(&mut instances) {
            timed.rounds.push(one_round(subject, instance, plan.of(subject))?);
        }
    }
    instances
        .into_iter()
        .map(|(instance, timed)| Ok(Timed { peak_memory: process::peak_memory(instance.id())?, ..timed }))
        .collect()
}

fn warm_up(instance: &mut Instance, plan: Plan) -> Result<(), BoxError> {
    instance.ready()?;
    for _ in 0..plan.calls {
        instance.call()?;
        instance.settle()?;
    }
    Ok(())
}

fn one_round(subject: &Subject, instance: &mut Instance, plan: Plan) -> Result<Round, BoxError> {
    let mut round = Round::default();
    for _ in 0..plan.starts {
        round.cold.push(nanoseconds(Instance::start(subject, &Around::default())?.first_answer()?));
    }
    // A batch begins and ends where the function waits for an event.
    let before = process::cpu(instance.id())?;
    for _ in 0..plan.calls {
        round.warm.push(nanoseconds(instance.call()?));
        instance.settle()?;
    }
    let after = process::cpu(instance.id())?;
    round.cpu = nanoseconds(after.saturating_sub(before)) / plan.calls as u64;
    Ok(round)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
