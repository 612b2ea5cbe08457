//! The targets that the functions are held against, and whether a run meets them.

use std::fmt;

use crate::results::{Measured, Quantity, Results};
use crate::table;

const FLOOR: &str = "floor, HS256";
const HS256: &str = "authorizer, HS256";
const ES256: &str = "authorizer, ES256";
const TABLE: &str = "authorizer, ES256 from the table";
const LOGIN: &str = "login, cost 4";
const LOGIN_FLOOR: &str = "floor of login, cost 4";
const PYJWT: &str = "PyJWT";
const JSONWEBTOKEN: &str = "jsonwebtoken";
const BOTO3: &str = "boto3, cost 4";
const MIB: f64 = 1_048_576.0;

/// What is held to a bound, the bound, and what the run has measured.
type Target = (String, Bound, Option<f64>);

/// What a figure is held to.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn is_met(self, measured: f64) -> bool {
        match self {
            Self::AtMost(limit) => measured <= limit,
            Self::AtLeast(limit) => measured >= limit,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

/// The targets as a table, those of which the run has the figure.
pub(crate) fn table(results: &Results) -> String {
    let rows = targets(results).into_iter().chain(against_peers(results)).filter_map(|(what, bound, measured)| {
        let measured = measured?;
        let verdict = if bound.is_met(measured) { "met" } else { "missed" };
        Some([what, bound.to_string(), format!("{measured:.2}"), verdict.to_owned()])
    });
    let mut text = String::new();
    table::write(&mut text, ["target", "limit", "measured", ""], rows);
    text
}

fn targets(results: &Results) -> Vec<Target> {
    use Quantity::{Cold, Cpu, Warm};
    let count = |of: fn(&crate::counts::Counts) -> u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        results.find(HS256).and_then(|subject| subject.counts.as_ref()).map(|counts| of(counts) as f64)
    };
    let login = results.find(LOGIN).and_then(|login| login.counts.as_ref());
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let certificates = login.map(|counts| counts.certificate_files() as f64);
    [
        ("authorizer HS256 to the floor: warm call", 1.4, results.ratio(Warm, HS256, FLOOR)),
        ("authorizer HS256 to the floor: CPU per call", 1.8, results.ratio(Cpu, HS256, FLOOR)),
        ("authorizer HS256 to the floor: cold start", 1.3, results.ratio(Cold, HS256, FLOOR)),
        ("authorizer ES256 to HS256: warm call", 3.5, results.ratio(Warm, ES256, HS256)),
        ("authorizer: system calls per call, one for the log line", 9.0, count(|counts| counts.system_calls)),
        ("authorizer: futexes per call", 0.0, count(|counts| counts.futexes)),
        ("authorizer: threads", 1.0, count(|counts| counts.threads)),
        ("authorizer: binary, MiB", 6.0, mebibytes(results.find(TABLE))),
        ("login: binary, MiB", 6.0, mebibytes(results.find(LOGIN))),
        ("protected: binary, MiB", 1.5, mebibytes(results.find("protected"))),
        ("login to its floor: cold start", 1.4, results.ratio(Cold, LOGIN, LOGIN_FLOOR)),
        ("login: certificate files at start", 0.0, certificates),
        ("login with cost 12 to the bare hash: CPU per call", 1.02, results.ratio_to_hash("login, cost 12")),
    ]
    .map(|(what, limit, measured)| (what.to_owned(), Bound::AtMost(limit), measured))
    .into()
}

/// How many times as much the peers take.
fn against_peers(results: &Results) -> Vec<Target> {
    let authorizer = |peer: &str| {
        let ratio = |quantity| results.ratio(quantity, peer, HS256);
        [
            ("cold start", 50.0, ratio(Quantity::Cold)),
            ("warm call", 6.0, ratio(Quantity::Warm)),
            ("memory", 10.0, results.memory_ratio(peer, HS256)),
        ]
        .map(|(what, limit, measured)| (format!("{peer} to authorizer HS256: {what}"), Bound::AtLeast(limit), measured))
    };
    let login = results.ratio(Quantity::Cold, BOTO3, LOGIN);
    let login = (format!("{BOTO3}, to login: cold start"), Bound::AtLeast(75.0), login);
    [PYJWT, JSONWEBTOKEN].into_iter().flat_map(authorizer).chain([login]).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a file's size has far fewer than 53 bits")]
fn mebibytes(subject: Option<&Measured>) -> Option<f64> {
    Some(subject?.size? as f64 / MIB)
}
