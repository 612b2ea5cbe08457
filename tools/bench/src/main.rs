//! Measures the functions: `cargo run --release --manifest-path tools/bench/Cargo.toml`.
//!
//! The real release binaries answer events through the Lambda Runtime API, on one core that they share with nothing but
//! this program's side of the conversation. In the same rounds, `lambda_runtime` alone answers with nothing.

mod comparison;
mod core;
mod cost;
mod counts;
mod idle;
mod instance;
mod limits;
mod load;
mod measure;
mod message;
mod peers;
mod prices;
mod process;
mod results;
mod serving;
mod stage;
mod subject;
mod table;
mod targets;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use shared::BoxError;
use shared::causes;
use shared::time::Timestamp;

use crate::core::Cores;
use crate::counts::Counter;
use crate::idle::Monthly;
use crate::measure::{BareHash, Plan, measure};
use crate::peers::Peers;
use crate::results::{Measured, Results};
use crate::stage::Stage;
use crate::subject::Subject;

/// Measures the functions against a runtime that does nothing.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Arguments {
    /// Measure for half a minute instead of several
    #[arg(long)]
    quick: bool,
    /// Measure the same work in Python and JavaScript too, which takes Python 3, Node, npm and a C++ compiler
    #[arg(long, conflicts_with_all = ["check", "update"])]
    peers: bool,
    /// Measure nothing: say what sign-ins, calls and a month cost on AWS, from recorded times and list prices
    #[arg(long, conflicts_with_all = ["quick", "peers", "json", "check", "update"])]
    cost: bool,
    /// Measure nothing: say what template.yaml costs by the month, by list prices
    #[arg(long, conflicts_with_all = ["quick", "peers", "cost", "json", "check", "update"])]
    idle: bool,
    /// Set a parameter of the template, for what it costs by the month
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter, requires = "idle")]
    parameters: Vec<(String, String)>,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Time nothing: compare what can be counted with tools/bench/limits.toml, and fail where it's more
    #[arg(long, conflicts_with_all = ["quick", "json", "update"])]
    check: bool,
    /// Time nothing: write what was counted to tools/bench/limits.toml
    #[arg(long, conflicts_with_all = ["quick", "json"])]
    update: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {}", causes(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, BoxError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let template = std::fs::read_to_string(root.join("template.yaml"))?;
    if arguments.idle {
        print(&idle::table(&template, &arguments.parameters.iter().cloned().collect())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.cost {
        print(&cost::tables(Monthly::of(&template, &BTreeMap::new())?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let binaries = stage::build(&root)?;
    let folder = scratch(&binaries)?;
    let counter = Counter::new(&folder)?;
    let peers = if arguments.peers { Some(Peers::install(&root, &folder, say)?) } else { None };
    let cores = Cores::of_this_process()?;
    // First the store, with all its threads on the other cores; what is started later stays on one core.
    cores.use_others()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stage = runtime.block_on(Stage::set(&root, &binaries, now()))?;
    let subjects = runtime.block_on(stage.subjects(now(), peers.as_ref()))?;
    cores.use_one()?;

    if arguments.check || arguments.update {
        let limited: Vec<_> = subjects.into_iter().filter(|subject| subject.limited).collect();
        let (file, sizes) = (root.join("tools/bench/limits.toml"), sizes(&root, &binaries)?);
        let count = || {
            say("counting");
            limits::count(&limited, &counter, &sizes)
        };
        return if arguments.update { limits::update(&file, count) } else { limits::check(&file, count) };
    }
    let mut results = time(&subjects, &counter, if arguments.quick { Plan::QUICK } else { Plan::FULL })?;
    if let Some(peers) = &peers {
        say("serving");
        let plan = if arguments.quick { serving::Plan::QUICK } else { serving::Plan::FULL };
        results.served = serving::serve(peers, &cores, stage.address()?, plan)?;
    }
    print(&table::table(&results))?;
    if !results.served.is_empty() {
        print(&serving::table(&results.served))?;
    }
    print(&targets::table(&results))?;
    if let Some(file) = &arguments.json {
        write(file, &serde_json::to_string_pretty(&results)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parameter(argument: &str) -> Result<(String, String), String> {
    let (name, value) = argument.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn time(subjects: &[Subject], counter: &Counter, plan: Plan) -> Result<Results, BoxError> {
    let bare = BareHash::new(12)?;
    let mut bare_hash = Vec::new();
    let timed = measure(subjects, plan, |round| {
        say(&format!("round {} of {}", round + 1, plan.rounds));
        bare_hash.push(u64::try_from(bare.cpu()?.as_nanos())?);
        Ok(())
    })?;
    let mut measured = Vec::new();
    for (subject, timed) in subjects.iter().zip(timed) {
        let is_peer = subject.peer_of.is_some();
        let counts = if subject.slow || is_peer { None } else { Some(counter.count(subject)?) };
        let size = if is_peer { None } else { Some(std::fs::metadata(&subject.command)?.len()) };
        let Subject { name, peer_of, .. } = *subject;
        measured.push(Measured { name, peer_of, size, timed, counts });
    }
    Ok(Results { subjects: measured, bare_hash, served: Vec::new() })
}

/// The size in bytes of every function's binary.
fn sizes(root: &Path, binaries: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, u64>, BoxError> {
    let mut sizes = BTreeMap::new();
    for function in stage::functions(root)? {
        let binary = binaries.get(&function).ok_or_else(|| format!("cargo built no {function}"))?;
        sizes.insert(function, std::fs::metadata(binary)?.len());
    }
    Ok(sizes)
}

/// A folder below the one that cargo builds into.
fn scratch(binaries: &BTreeMap<String, PathBuf>) -> Result<PathBuf, BoxError> {
    let release = binaries.values().next().and_then(|binary| binary.parent()).ok_or("cargo built nothing")?;
    Ok(release.join("bench-scratch"))
}

fn write(file: &Path, text: &str) -> Result<(), BoxError> {
    std::fs::write(file, text).map_err(|error| format!("{} can't be written: {error}", file.display()).into())
}

fn print(text: &str) -> std::io::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())
}

/// Tells the person who waits.
fn say(text: &str) {
    // Nobody can be told that stderr is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[expect(clippy::disallowed_methods, reason = "main passes the clock in")]
fn now() -> Timestamp {
    SystemTime::now().into()
}
