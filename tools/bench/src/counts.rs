//! What is counted rather than timed: instructions, system calls, futexes, threads, allocations, files. Noise can't move
//! these.
//!
//! Each call is counted by itself, from one question for an event to the next, and the middle of them all is what
//! counts: what happens at the start falls out, and so does a call in which another process got in between. Instructions
//! are those of many calls less those of a few, by callgrind: it has a processor of its own, so that they are the same
//! on every machine, and lets one thread run at a time.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;
use shared::BoxError;

use crate::instance::{Around, Instance};
use crate::process;
use crate::subject::Subject;

/// How many calls are counted.
const CALLS: usize = 40;
/// The first calls make connections and fill caches.
const WARM_UP: usize = 5;
/// Longer than a function works between two of its reads.
const PAUSE: Duration = Duration::from_millis(3);
/// The same under callgrind, where everything takes fifty times as long.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// How many calls the instructions are counted of: what the longer run has more is that of its calls.
const FEW_CALLS: usize = 20;
const MANY_CALLS: usize = 100;
/// What callgrind writes before the instructions of a whole run.
const COLLECTED: &str = "Collected : ";
/// What a function writes when it's ready for a call.
const QUESTION: &str = "GET /2018-06-01/runtime/invocation/next";

/// The counts of a function.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Counts {
    /// For a warm call, of the process alone: what the kernel does for it isn't counted.
    pub(crate) instructions: u64,
    /// For a warm call.
    pub(crate) system_calls: u64,
    /// For a warm call; they're among the system calls.
    pub(crate) futexes: u64,
    /// For a warm call.
    pub(crate) allocations: u64,
    /// After the calls.
    pub(crate) threads: u64,
    /// Opened before the first call, libraries included.
    pub(crate) files: Vec<String>,
}

impl Counts {
    /// Those of the files that hold certificates.
    pub(crate) fn certificate_files(&self) -> usize {
        self.files.iter().filter(|file| holds_certificates(file)).count()
    }
}

fn holds_certificates(file: &str) -> bool {
    let ends = |end: &str| file.to_ascii_lowercase().ends_with(end);
    [".pem", ".crt", ".cer"].into_iter().any(ends)
        || ["/ssl/", "/pki/", "certificates"].iter().any(|part| file.contains(part))
}

/// Counts, with files in a folder of its own.
pub(crate) struct Counter {
    folder: PathBuf,
    library: PathBuf,
}

impl Counter {
    /// Makes what counting takes: strace and valgrind have to be there, and a C compiler for the counter
    /// of allocations.
    pub(crate) fn new(folder: &Path) -> Result<Self, BoxError> {
        fs::create_dir_all(folder)?;
        let source = folder.join("allocations.c");
        let library = folder.join("liballocations.so");
        fs::write(&source, include_str!("allocations.c"))?;
        run(Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).args([&library, &source]), "a C compiler")?;
        run(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]), "strace")?;
        run(Command::new("valgrind").args(["--quiet", "--tool=none", "true"]), "valgrind")?;
        Ok(Self { folder: folder.to_owned(), library })
    }

    /// Counts what one function does.
    pub(crate) fn count(&self, subject: &Subject) -> Result<Counts, BoxError> {
        let (allocations, threads) = self.allocations(subject)?;
        let trace = self.trace(subject)?;
        let calls = trace.calls.get(WARM_UP..).unwrap_or_default();
        let (few, many) = (self.instructions(subject, FEW_CALLS)?, self.instructions(subject, MANY_CALLS)?);
        Ok(Counts {
            instructions: many.saturating_sub(few) / (MANY_CALLS - FEW_CALLS) as u64,
            system_calls: median(calls.iter().map(|call| call.all)),
            futexes: median(calls.iter().map(|call| call.futexes)),
            allocations,
            threads,
            files: trace.files,
        })
    }

    /// Of a process from its start to its end, with so many calls.
    fn instructions(&self, subject: &Subject, calls: usize) -> Result<u64, BoxError> {
        let log = self.folder.join("callgrind");
        let mut to_log = OsString::from("--log-file=");
        to_log.push(&log);
        let words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"].map(OsString::from);
        let wrapper = words.into_iter().chain([to_log]).collect();
        run_under(wrapper, subject, LONG_PAUSE, calls)?;
        let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
        collected(&text).ok_or_else(|| format!("callgrind counted nothing of {}: {text}", subject.name).into())
    }

    fn trace(&self, subject: &Subject) -> Result<Trace, BoxError> {
        let log = self.folder.join("trace");
        let words = ["strace", "-f", "-qq", "-s", "64", "-o"].map(OsString::from);
        let wrapper = words.into_iter().chain([log.clone().into(), "--".into()]).collect();
        run_under(wrapper, subject, PAUSE, CALLS)?;
        Ok(Trace::parse(&String::from_utf8_lossy(&fs::read(log)?)))
    }

    fn allocations(&self, subject: &Subject) -> Result<(u64, u64), BoxError> {
        let count = self.folder.join("count");
        fs::write(&count, [0; 8])?;
        let variables = vec![("LD_PRELOAD", self.library.as_path()), ("ALLOCATIONS", count.as_path())];
        let mut instance = Instance::start(subject, &Around { variables, pause: PAUSE, ..Around::default() })?;
        let mut counts = Vec::new();
        instance.ready()?;
        for _ in 0..CALLS {
            instance.call()?;
            instance.settle()?;
            let bytes = fs::read(&count)?;
            counts.push(u64::from_ne_bytes(bytes.try_into().map_err(|_| "the count of allocations has no 8 bytes")?));
        }
        let threads = process::threads(instance.id())?;
        let calls = counts.windows(2).skip(WARM_UP).map(|pair| pair[1] - pair[0]);
        Ok((median(calls), threads))
    }
}

/// Makes so many calls of a process that another program watches, to its end.
fn run_under(wrapper: Vec<OsString>, subject: &Subject, pause: Duration, calls: usize) -> Result<(), BoxError> {
    let mut instance = Instance::start(subject, &Around { wrapper, pause, ..Around::default() })?;
    instance.ready()?;
    for _ in 0..calls {
        instance.call()?;
        instance.settle()?;
    }
    instance.end()
}

fn run(command: &mut Command, what: &str) -> Result<(), BoxError> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("counting takes {what}, which fails here ({status})").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("counting takes {what}: install it").into()),
        Err(error) => Err(error.into()),
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What strace wrote.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trace {
    files: Vec<String>,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Call {
    all: u64,
    futexes: u64,
}

impl Trace {
    /// A line for each system call, `process name(arguments) = result`; one that another thread got in between has two,
    /// the second with `<... name resumed>`.
    fn parse(text: &str) -> Self {
        let mut trace = Self::default();
        for line in text.lines() {
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            if !call.starts_with(|first: char| first.is_ascii_lowercase()) {
                continue;
            }
            if call.contains(QUESTION) {
                trace.calls.push(Call::default());
            }
            match trace.calls.last_mut() {
                Some(counts) => {
                    counts.all += 1;
                    counts.futexes += u64::from(call.starts_with("futex("));
                }
                None => trace.files.extend(opened(call)),
            }
        }
        // The last one was never answered.
        trace.calls.pop();
        trace
    }
}

/// The instructions in what callgrind wrote at the end of a run.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.split_once(COLLECTED))?.1;
    line.trim().parse().ok()
}

/// The file that the system call opens, if it does.
fn opened(call: &str) -> Option<String> {
    let is_opening = call.starts_with("open") && !call.contains(") = -1");
    is_opening.then(|| call.split('"').nth(1).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_question_to_question() {
        let text = r#"10 execve("./f", ["./f"], 0x7 /* 9 vars */) = 0
10 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
10 openat(AT_FDCWD, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)
10 openat(AT_FDCWD, "/etc/ssl/certs/ca.pem", O_RDONLY) = 3
10 writev(9, [{iov_base="GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"..., iov_len=120}], 1) = 120
10 recvfrom(9, <unfinished ...>
11 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 0
10 <... recvfrom resumed>"HTTP/1.1 200 OK\r\n"..., 8192, 0, NULL, NULL) = 400
10 sendto(9, "POST /2018-06-01/runtime/invocation/8476a536/response", 90, 0, NULL, 0) = 90
10 --- SIGCHLD {si_signo=SIGCHLD} ---
10 write(9, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n", 120) = 120
10 exit_group(0) = ?
"#;
        let trace = Trace::parse(text);
        assert_eq!(trace.calls, [Call { all: 4, futexes: 1 }]);
        assert_eq!(trace.files, ["/etc/ld.so.cache", "/etc/ssl/certs/ca.pem"]);
        assert!(holds_certificates(&trace.files[1]) && !holds_certificates(&trace.files[0]));
    }

    #[test]
    fn instructions_stand_at_the_end_of_callgrinds_log() {
        let text = "==7== Callgrind, a call-graph generating cache profiler\n==7== \n==7== Events    : Ir\n\
                    ==7== Collected : 31415926\n==7== \n==7== I   refs:      31,415,926\n";
        assert_eq!(collected(text), Some(31_415_926));
        assert_eq!(collected("==7== Callgrind\n"), None);
    }

    #[test]
    fn the_middle_is_moved_by_no_outlier() {
        assert_eq!(median([8, 8, 9000, 8, 1].into_iter()), 8);
        assert_eq!(median(std::iter::empty()), 0);
    }
}
