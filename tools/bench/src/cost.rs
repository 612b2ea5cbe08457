//! What a stack costs, from the measured times and the published prices.

use crate::results::{Measured, Results};
use crate::table;

// Prices of us-east-1 in dollars, as published and not measured; docs/performance.md says which were looked up.
const GIGABYTE_SECOND: f64 = 0.000_016_666_7;
const MILLION_INVOCATIONS: f64 = 0.20;
const MILLION_REST_REQUESTS: f64 = 3.50;
const MILLION_HTTP_REQUESTS: f64 = 1.00;
const MILLION_WRITES: f64 = 0.625;
const MILLION_CONSISTENT_READS: f64 = 0.125;
const GIGABYTE_OF_LOGS: f64 = 0.50;
const COGNITO_USER: f64 = 0.015;
const COGNITO_FREE_USERS: f64 = 10_000.0;
const AUTH0_USER: f64 = 0.07;

/// The memory size at which Lambda gives a whole vCPU, in MB.
const WHOLE_CPU: f64 = 1769.0;
/// Assumed, not measured: what a call to `DynamoDB` takes from Lambda, in milliseconds.
const STORE_CALL: f64 = 5.0;
/// Assumed: bytes that a call leaves in the log, our line and Lambda's own three.
const LOG: f64 = 600.0;
/// The users that the comparison is for, and what each does in a month.
const USERS: f64 = 100_000.0;
const SIGN_INS: f64 = 10.0;
const CALLS: f64 = 300.0;

/// The tables, or nothing where the run lacks what they're made from.
pub(crate) fn tables(results: &Results) -> Option<String> {
    let login = cpu(results.find("login, cost 12, right password")?);
    let authorizer = cpu(results.find("authorizer, ES256 from the table")?);
    let mut text = String::new();
    sign_ins(&mut text, login);
    calls(&mut text, authorizer);
    comparison(&mut text, login, authorizer);
    Some(text)
}

/// Milliseconds on a core.
fn cpu(subject: &Measured) -> f64 {
    table::milli(subject.cpu())
}

fn sign_ins(text: &mut String, login: f64) {
    let rows = [10, 11, 12, 13].into_iter().flat_map(|cost| {
        [512.0, 1024.0, 1769.0].map(|memory| {
            let (duration, lambda, store) = sign_in(login, cost, memory);
            let all = lambda + store + logs();
            [
                format!("{cost}"),
                format!("{memory} MB"),
                format!("{duration:.0} ms"),
                dollars(lambda),
                dollars(store + logs()),
                dollars(all + MILLION_REST_REQUESTS),
                dollars(all + MILLION_HTTP_REQUESTS),
            ]
        })
    });
    let heads =
        ["bcrypt cost", "memory", "billed time", "Lambda", "store and log", "with a REST API", "with an HTTP API"];
    table::write(text, heads, rows);
}

/// Billed milliseconds, and dollars per million for Lambda and for the store: a read and a write.
fn sign_in(login: f64, cost: i32, memory: f64) -> (f64, f64, f64) {
    let work = login * 2_f64.powi(cost - 12);
    let duration = billed(work, 2.0, memory);
    (duration, lambda(duration, memory), MILLION_CONSISTENT_READS + MILLION_WRITES)
}

fn calls(text: &mut String, authorizer: f64) {
    let rows = [128.0, 256.0, 512.0].into_iter().flat_map(|memory| {
        [("off", 0.0), ("0", 1.0)].map(|(revocation, reads)| {
            let (duration, all) = call(authorizer, reads, memory);
            [
                format!("{memory} MB"),
                revocation.to_owned(),
                format!("{duration:.0} ms"),
                dollars(all),
                dollars(all + MILLION_REST_REQUESTS),
                dollars(all + MILLION_HTTP_REQUESTS),
            ]
        })
    });
    let heads = ["memory", "LiveRevocation", "billed time", "authorizer", "with a REST API", "with an HTTP API"];
    table::write(text, heads, rows);
}

/// Billed milliseconds, and dollars per million: the reads are eventually consistent ones, at half the price.
fn call(authorizer: f64, reads: f64, memory: f64) -> (f64, f64) {
    let duration = billed(authorizer, reads, memory);
    (duration, lambda(duration, memory) + reads * MILLION_CONSISTENT_READS / 2.0 + logs())
}

fn comparison(text: &mut String, login: f64, authorizer: f64) {
    let (_, of_login, store) = sign_in(login, 12, WHOLE_CPU);
    let sign_ins = USERS * SIGN_INS / 1e6 * (of_login + store + logs() + MILLION_REST_REQUESTS);
    let checks = USERS * CALLS / 1e6 * call(authorizer, 0.0, 256.0).1;
    let rows = [
        ("Gatehouse: sign-ins, with the gateway", sign_ins),
        ("Gatehouse: the authorizer", checks),
        ("Cognito Essentials: users", (USERS - COGNITO_FREE_USERS) * COGNITO_USER),
        ("Auth0: users, at the rate of its first paid plan", USERS * AUTH0_USER),
    ];
    let heads = ["100,000 users, each 10 sign-ins and 300 calls a month", "dollars a month"];
    table::write(text, heads, rows.into_iter().map(|(what, price)| [what.to_owned(), dollars(price)]));
}

/// Milliseconds of a call that works on the core for `work` of them: less memory is a smaller share of a core, and
/// Lambda rounds up.
fn billed(work: f64, store_calls: f64, memory: f64) -> f64 {
    (work * (WHOLE_CPU / memory).max(1.0) + store_calls * STORE_CALL).ceil()
}

/// Dollars for a million invocations that take this many milliseconds each.
fn lambda(duration: f64, memory: f64) -> f64 {
    MILLION_INVOCATIONS + 1e6 * duration / 1e3 * memory / 1024.0 * GIGABYTE_SECOND
}

/// Dollars for a million invocations.
fn logs() -> f64 {
    1e6 * LOG / 1e9 * GIGABYTE_OF_LOGS
}

fn dollars(price: f64) -> String {
    format!("${price:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_memory_takes_longer_and_costs_as_much() {
        assert!((billed(235.0, 0.0, WHOLE_CPU) - 235.0).abs() < 0.1);
        assert!((billed(235.0, 0.0, 512.0) - 812.0).abs() < 0.1);
        assert!((lambda(235.0, WHOLE_CPU) / lambda(812.0, 512.0) - 1.0).abs() < 0.01);
        // The price of Lambda's own example: a million calls of 120 ms at 1536 MB are 180,000 GB-seconds.
        assert!((lambda(120.0, 1536.0) - 3.20).abs() < 0.01);
    }
}
