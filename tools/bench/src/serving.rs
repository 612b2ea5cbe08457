//! `GET /protected` over HTTP: the local stack, and the tutorial's own route under uvicorn. Both have the cores that the
//! store has elsewhere, and the load has the subjects' core.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use shared::BoxError;

use crate::core::Cores;
use crate::load::Request;
use crate::peers::Peers;
use crate::process;
use crate::results::percentile;
use crate::stage::{DEAR_USER, PASSWORD};
use crate::table;

/// How many connections ask at once.
const CONNECTIONS: [usize; 2] = [1, 8];
/// How long uvicorn may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    rounds: usize,
    /// Of each load in each round.
    time: Duration,
}

impl Plan {
    /// For figures that are written down.
    pub(crate) const FULL: Self = Self { rounds: 7, time: Duration::from_secs(2) };
    /// For a first look.
    pub(crate) const QUICK: Self = Self { rounds: 3, time: Duration::from_secs(1) };
}

/// What one server did under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Served {
    server: &'static str,
    connections: usize,
    /// In a second, for each round.
    requests: Vec<u64>,
    /// Nanoseconds of a core for a request, all of the server's processes together, for each round.
    cpu: Vec<u64>,
}

/// Whose time on a core counts for a server.
enum Processes {
    /// This one, whose threads are the gateway and the store, and the functions that it has started.
    OurOwn,
    Child(u32),
}

impl Processes {
    fn cpu(&self) -> Result<Duration, BoxError> {
        match self {
            Self::Child(id) => process::cpu(*id),
            Self::OurOwn => {
                let own = std::process::id();
                let mut all = process::cpu(own)?;
                for child in process::children(own)? {
                    // One may end in between.
                    all += process::cpu(child).unwrap_or_default();
                }
                Ok(all)
            }
        }
    }
}

/// Puts both servers under load, by turns.
pub(crate) fn serve(peers: &Peers, cores: &Cores, stack: SocketAddr, plan: Plan) -> Result<Vec<Served>, BoxError> {
    let ours = Request::protected(stack, &Request::token(stack, DEAR_USER, PASSWORD)?);
    let tutorial = Tutorial::start(peers, cores)?;
    let theirs = Request::protected(tutorial.address, &Request::token(tutorial.address, "johndoe", PASSWORD)?);
    let servers = [
        ("local stack: gateway, authorizer, function", ours, Processes::OurOwn),
        ("FastAPI under uvicorn", theirs, Processes::Child(tutorial.process.id())),
    ];
    for (_, request, _) in &servers {
        // So that the stack has as many instances of its functions as it will need.
        request.repeat(CONNECTIONS.into_iter().max().unwrap_or(1), plan.time)?;
    }
    let mut all: Vec<Served> = servers
        .iter()
        .flat_map(|(server, ..)| {
            CONNECTIONS.map(|connections| Served { server, connections, requests: Vec::new(), cpu: Vec::new() })
        })
        .collect();
    for _ in 0..plan.rounds {
        for served in &mut all {
            let Some((_, request, processes)) = servers.iter().find(|(name, ..)| *name == served.server) else {
                continue;
            };
            let (before, started) = (processes.cpu()?, Instant::now());
            let requests = request.repeat(served.connections, plan.time)?.max(1);
            let (time, after) = (started.elapsed(), processes.cpu()?);
            served.requests.push(requests * 1000 / u64::try_from(time.as_millis())?.max(1));
            served.cpu.push(u64::try_from(after.saturating_sub(before).as_nanos())? / requests);
        }
    }
    Ok(all)
}

/// The table, for people.
pub(crate) fn table(served: &[Served]) -> String {
    let rows = served.iter().map(|served| {
        [
            served.server.to_owned(),
            served.connections.to_string(),
            percentile(&served.requests, 50).to_string(),
            table::micro(percentile(&served.cpu, 50)),
        ]
    });
    let mut text = String::new();
    table::write(&mut text, ["GET /protected", "connections", "requests per second", "CPU per request"], rows);
    text
}

/// The tutorial's server.
struct Tutorial {
    process: Child,
    address: SocketAddr,
}

impl Tutorial {
    fn start(peers: &Peers, cores: &Cores) -> Result<Self, BoxError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = peers.tutorial();
        command.args(["--port", &address.port().to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        cores.use_others()?;
        let process = command.spawn();
        cores.use_one()?;
        let mut tutorial = Self { process: process?, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = tutorial.process.try_wait()? {
                return Err(format!("uvicorn has ended ({status})").into());
            }
            if started.elapsed() > START_LIMIT {
                return Err("uvicorn doesn't listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(tutorial)
    }
}

impl Drop for Tutorial {
    fn drop(&mut self) {
        // An error is a process that has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
