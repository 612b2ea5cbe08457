//! What Linux says of a process, in `/proc`.

use std::fs;
use std::time::Duration;

use shared::BoxError;

/// The time on a core that its threads have had so far.
pub(crate) fn cpu(process: u32) -> Result<Duration, BoxError> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end in between.
        let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += first_number(&line)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The same for the calling thread.
pub(crate) fn own_cpu() -> Result<Duration, BoxError> {
    // The numbers are of the last tick, unless the thread lets others run first.
    std::thread::yield_now();
    Ok(Duration::from_nanos(first_number(&fs::read_to_string("/proc/thread-self/schedstat")?)?))
}

/// The processes that it has started and that are still there.
pub(crate) fn children(process: u32) -> Result<Vec<u32>, BoxError> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended in between.
        let Ok(line) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // The parent is the second field after the name, which stands in brackets and may hold any character.
        let parent = line.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(1));
        if parent.is_some_and(|parent| parent.parse() == Ok(process)) {
            children.push(id);
        }
    }
    Ok(children)
}

fn first_number(line: &str) -> Result<u64, BoxError> {
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}

/// How many threads it has.
pub(crate) fn threads(process: u32) -> Result<u64, BoxError> {
    status(process, "Threads:")
}

/// The most memory that it has held so far, in KiB.
pub(crate) fn peak_memory(process: u32) -> Result<u64, BoxError> {
    status(process, "VmHWM:")
}

fn status(process: u32, name: &str) -> Result<u64, BoxError> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("/proc has no {name}"))?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}
