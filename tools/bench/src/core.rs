//! Which core does what: one for the subjects and this program's side of the conversation, the others for the store.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shared::BoxError;

/// The cores that this process may use.
pub(crate) struct Cores {
    one: CpuSet,
    others: CpuSet,
}

impl Cores {
    /// Finds them, and takes the last for the subjects: the first serves the machine's interrupts, as a rule.
    pub(crate) fn of_this_process() -> Result<Self, BoxError> {
        let all = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| all.is_set(*core)).ok_or("this process may use no core")?;
        let (mut one, mut others) = (CpuSet::new(), all);
        one.set(last);
        // With a single core, everything has to share it.
        if all.count() > 1 {
            others.unset(last);
        }
        Ok(Self { one, others })
    }

    /// Keeps this thread, and the threads and processes that it starts, off the subjects' core.
    pub(crate) fn use_others(&self) -> Result<(), BoxError> {
        Ok(sched_setaffinity(None, &self.others)?)
    }

    /// Puts this thread, and the processes that it starts, on the subjects' core.
    pub(crate) fn use_one(&self) -> Result<(), BoxError> {
        Ok(sched_setaffinity(None, &self.one)?)
    }
}
