//! The targets that the functions are held against, and whether a run meets them.

use crate::results::{Measured, Quantity, Results};
use crate::table;

const FLOOR: &str = "floor, HS256";
const HS256: &str = "authorizer, HS256";
const ES256: &str = "authorizer, ES256";
const TABLE: &str = "authorizer, ES256 from the table";
const LOGIN: &str = "login, cost 4";
const LOGIN_FLOOR: &str = "floor of login, cost 4";
const MIB: f64 = 1_048_576.0;

/// The targets as a table.
pub(crate) fn table(results: &Results) -> String {
    let rows = targets(results).into_iter().filter_map(|(what, limit, measured)| {
        let measured = measured?;
        let verdict = if measured <= limit { "met" } else { "missed" };
        Some([what.to_owned(), format!("≤ {limit}"), format!("{measured:.2}"), verdict.to_owned()])
    });
    let mut text = String::new();
    table::write(&mut text, ["target", "limit", "measured", ""], rows);
    text
}

fn targets(results: &Results) -> Vec<(&'static str, f64, Option<f64>)> {
    use Quantity::{Cold, Cpu, Warm};
    let count = |of: fn(&crate::counts::Counts) -> u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        results.find(HS256).and_then(|subject| subject.counts.as_ref()).map(|counts| of(counts) as f64)
    };
    let login = results.find(LOGIN).and_then(|login| login.counts.as_ref());
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let certificates = login.map(|counts| counts.certificate_files() as f64);
    vec![
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
}

#[expect(clippy::cast_precision_loss, reason = "a file's size has far fewer than 53 bits")]
fn mebibytes(subject: Option<&Measured>) -> Option<f64> {
    Some(subject?.size? as f64 / MIB)
}
