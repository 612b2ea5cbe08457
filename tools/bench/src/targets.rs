//! The targets that the functions are held against, and whether a run meets them.

use crate::counts::Counts;
use crate::results::{Measured, Quantity, Results};
use crate::stage::ALONE;
use crate::table;

const HS256: &str = "authorizer, HS256";
const ES256: &str = "authorizer, ES256";
const TABLE: &str = "authorizer, ES256 from the table";
const LOGIN: &str = "login, cost 4";
const MIB: f64 = 1_048_576.0;

/// The targets as a table, those of which the run has the figure.
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

/// What is held to a bound, the bound, and what the run has measured.
fn targets(results: &Results) -> [(&'static str, f64, Option<f64>); 12] {
    use Quantity::Cold;
    #[expect(clippy::cast_precision_loss, reason = "counts have far fewer than 53 bits")]
    let count = |name: &str, of: fn(&Counts) -> u64| {
        results.find(name).and_then(|subject| subject.counts.as_ref()).map(|counts| of(counts) as f64)
    };
    let thousands = |name: &str| count(name, |counts| counts.instructions).map(|number| number / 1e3);
    [
        ("authorizer, HS256: thousand instructions per call", 150.0, thousands(HS256)),
        ("authorizer, ES256: thousand instructions per call", 860.0, thousands(ES256)),
        ("authorizer: system calls per call, one for the log line", 9.0, count(HS256, |counts| counts.system_calls)),
        ("authorizer: futexes per call", 0.0, count(HS256, |counts| counts.futexes)),
        ("authorizer: threads", 1.0, count(HS256, |counts| counts.threads)),
        ("authorizer, HS256, to lambda_runtime alone: cold start", 1.25, results.ratio(Cold, HS256, ALONE)),
        ("the same, keys from the table", 1.8, results.ratio(Cold, TABLE, ALONE)),
        ("authorizer: binary, MiB", 6.5, mebibytes(results.find(TABLE))),
        ("login: binary, MiB", 7.0, mebibytes(results.find(LOGIN))),
        ("protected: binary, MiB", 1.9, mebibytes(results.find("protected"))),
        ("login: certificate files at start", 0.0, count(LOGIN, |counts| counts.certificate_files() as u64)),
        ("login with cost 12 to the bare hash: CPU per call", 1.02, results.ratio_to_hash("login, cost 12")),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a file's size has far fewer than 53 bits")]
fn mebibytes(subject: Option<&Measured>) -> Option<f64> {
    Some(subject?.size? as f64 / MIB)
}
