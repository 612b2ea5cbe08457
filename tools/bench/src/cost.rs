//! What the stack costs on AWS, from the measured times and the published prices.

use crate::prices::{
    AUTH0_ESSENTIALS, AUTH0_FREE_USERS, AUTH0_PROFESSIONAL, AUTH0_STEP, COGNITO_ESSENTIALS_USER, COGNITO_FREE_USERS,
    COGNITO_LITE_USER, COGNITO_PLUS_USER, GIGABYTE_OF_LOGS, GIGABYTE_SECOND_ARM, GIGABYTE_SECOND_X86, HTTP_REQUESTS,
    INVOCATIONS, READ_UNITS, REST_REQUESTS, SECRET_CALLS, WRITE_UNITS,
};
use crate::results::{Measured, Results};
use crate::table;

/// The memory size at which Lambda gives a whole vCPU, in MB.
const WHOLE_CPU: f64 = 1769.0;
/// Assumed, not measured: what a call to `DynamoDB` takes of a function's time, in milliseconds.
const STORE_CALL: f64 = 5.0;
/// Assumed: what Lambda's START, END and REPORT take, in bytes.
const LAMBDA_LINES: f64 = 300.0;
/// What login's line for a sign-in takes, in bytes, with two scopes and a short name.
const LOGIN_LINE: f64 = 560.0;
/// The same for the authorizer's line.
const AUTHORIZER_LINE: f64 = 230.0;
/// The users that the comparison is for, and what each does in a month.
const USERS: [f64; 2] = [10_000.0, 100_000.0];
const SIGN_INS: f64 = 10.0;
const CALLS: f64 = 300.0;

/// What one sign-in asks of the table: how often it waits for calls, and units.
#[derive(Clone, Copy)]
struct StoreUse {
    calls: f64,
    writes: f64,
    reads: f64,
}

/// From an IPv4 address that is known: the user, the hash and two counts are read consistently in one call while the guess
/// is counted, which is then found right beside adding the session, and the user and the hash are read again. No row
/// reaches a KB, nor the rows that are read four, and none of the writes is transactional.
const KNOWN_ADDRESS: StoreUse = StoreUse { calls: 3.0, writes: 3.0, reads: 6.0 };
/// From another: the first update counts nothing, the guess is counted in the account's window and at the address, and
/// given back together with the note that it was right.
const NEW_ADDRESS: StoreUse = StoreUse { calls: 4.0, writes: 6.0, reads: 6.0 };

#[derive(Clone, Copy)]
enum Processor {
    X86,
    Arm,
}

/// Dollars a month for so many users; `None` where that many can't be had.
type Price = Box<dyn Fn(f64) -> Option<f64>>;

/// The tables, or nothing where the run lacks what they're made from.
pub(crate) fn tables(results: &Results) -> Option<String> {
    let login = cpu(results.find("login, cost 12")?);
    let authorizer = cpu(results.find("authorizer, ES256 from the table")?);
    let mut text = String::from("Dollars per million, at list prices of us-east-1:\n\n");
    sign_ins(&mut text, login);
    extras(&mut text);
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
        [512.0, 1024.0, WHOLE_CPU].map(|memory| {
            let sign_in = SignIn::new(login, cost, memory);
            [
                format!("bcrypt cost {cost}, {memory} MB"),
                format!("{:.0} ms", sign_in.time),
                dollars(sign_in.lambda(Processor::X86)),
                dollars(sign_in.lambda(Processor::Arm)),
                dollars(KNOWN_ADDRESS.price()),
                dollars(logs(LOGIN_LINE)),
                dollars(sign_in.all() + REST_REQUESTS),
                dollars(sign_in.all() + HTTP_REQUESTS),
            ]
        })
    });
    let heads =
        ["sign-ins", "billed time", "Lambda", "on arm64", "DynamoDB", "log", "with a REST API", "with an HTTP API"];
    table::write(text, heads, rows);
}

fn extras(text: &mut String) {
    let secret = SECRET_CALLS * 100.0;
    // Of sign-ins that take a quarter of a second each.
    let rows = [
        ("from an address that isn't known: DynamoDB, in all", NEW_ADDRESS.price()),
        ("each more than a minute after the instance's last: Secrets Manager", secret),
        ("instances that are busy all the time, one call a minute: Secrets Manager", secret / 240.0),
    ];
    let rows = rows.into_iter().map(|(what, price)| [what.to_owned(), dollars(price)]);
    table::write(text, ["beside that, for sign-ins", "dollars"], rows);
}

fn calls(text: &mut String, authorizer: f64) {
    let rows = [128.0, 256.0, 512.0].into_iter().flat_map(|memory| {
        [("off", 0.0), ("0", 1.0)].map(|(revocation, reads)| {
            let call = Check::new(authorizer, reads, memory);
            [
                format!("{memory} MB, LiveRevocation {revocation}"),
                format!("{:.0} ms", call.time),
                dollars(lambda(call.time, memory, Processor::X86)),
                dollars(lambda(call.time, memory, Processor::Arm)),
                dollars(call.store),
                dollars(logs(AUTHORIZER_LINE)),
                dollars(call.all() + REST_REQUESTS),
                dollars(call.all() + HTTP_REQUESTS),
            ]
        })
    });
    let heads = [
        "authorized calls, without their function",
        "billed time",
        "Lambda",
        "on arm64",
        "DynamoDB",
        "log",
        "with a REST API",
        "with an HTTP API",
    ];
    table::write(text, heads, rows);
}

fn comparison(text: &mut String, login: f64, authorizer: f64) {
    let sign_in = SignIn::new(login, 12, WHOLE_CPU).all();
    let check = Check::new(authorizer, 0.0, 256.0).all();
    let beyond_free =
        |rate: f64| -> Price { Box::new(move |users| Some((users - COGNITO_FREE_USERS).max(0.0) * rate)) };
    let auth0 = |plan: f64| -> Price { Box::new(move |users| Some(users / AUTH0_STEP * plan)) };
    let rows: [(&str, Price); 8] = [
        (
            "Gatehouse: sign-ins, with a REST API",
            Box::new(move |users| Some(users * SIGN_INS / 1e6 * (sign_in + REST_REQUESTS))),
        ),
        ("Gatehouse: the authorizer", Box::new(move |users| Some(users * CALLS / 1e6 * check))),
        ("Cognito Lite", beyond_free(COGNITO_LITE_USER)),
        ("Cognito Essentials", beyond_free(COGNITO_ESSENTIALS_USER)),
        ("Cognito Plus", Box::new(|users| Some(users * COGNITO_PLUS_USER))),
        ("Auth0 Free", Box::new(|users| (users <= AUTH0_FREE_USERS).then_some(0.0))),
        ("Auth0 Essentials, at the rate of its first 500 users", auth0(AUTH0_ESSENTIALS)),
        ("Auth0 Professional, at the rate of its first 500 users", auth0(AUTH0_PROFESSIONAL)),
    ];
    let rows = rows.iter().map(|(what, price)| {
        let say = |users| price(users).map_or("-".to_owned(), dollars);
        [(*what).to_owned(), say(USERS[0]), say(USERS[1])]
    });
    let heads = ["a month, each user 10 sign-ins and 300 calls", "10,000 users", "100,000 users"];
    table::write(text, heads, rows);
}

/// A sign-in from a known address, at a hash cost and a memory size.
struct SignIn {
    time: f64,
    memory: f64,
}

impl SignIn {
    /// From what one of cost 12 takes of a core; each step of the cost doubles the hash's work, which is nearly all.
    fn new(at_cost_12: f64, cost: i32, memory: f64) -> Self {
        Self { time: billed(at_cost_12 * 2_f64.powi(cost - 12), KNOWN_ADDRESS.calls, memory), memory }
    }

    fn lambda(&self, processor: Processor) -> f64 {
        lambda(self.time, self.memory, processor)
    }

    /// On x86, without the gateway.
    fn all(&self) -> f64 {
        self.lambda(Processor::X86) + KNOWN_ADDRESS.price() + logs(LOGIN_LINE)
    }
}

/// What the authorizer does for a call.
struct Check {
    time: f64,
    memory: f64,
    store: f64,
}

impl Check {
    /// Its reads are eventually consistent, at half a unit each.
    fn new(on_core: f64, reads: f64, memory: f64) -> Self {
        Self { time: billed(on_core, reads, memory), memory, store: reads * READ_UNITS / 2.0 }
    }

    /// On x86, without the gateway.
    fn all(&self) -> f64 {
        lambda(self.time, self.memory, Processor::X86) + self.store + logs(AUTHORIZER_LINE)
    }
}

impl StoreUse {
    fn price(self) -> f64 {
        self.writes * WRITE_UNITS + self.reads * READ_UNITS
    }
}

/// Milliseconds of a call that works on the core for `work` of them: less memory is a smaller share of a core, and
/// Lambda rounds up.
fn billed(work: f64, store_calls: f64, memory: f64) -> f64 {
    (work * (WHOLE_CPU / memory).max(1.0) + store_calls * STORE_CALL).ceil()
}

/// Dollars for a million invocations that take this many milliseconds each.
fn lambda(duration: f64, memory: f64, processor: Processor) -> f64 {
    let rate = match processor {
        Processor::X86 => GIGABYTE_SECOND_X86,
        Processor::Arm => GIGABYTE_SECOND_ARM,
    };
    INVOCATIONS + 1e6 * duration / 1e3 * memory / 1024.0 * rate
}

/// Dollars for a million invocations, each with a line of ours of this many bytes.
fn logs(line: f64) -> f64 {
    1e6 * (line + LAMBDA_LINES) / 1e9 * GIGABYTE_OF_LOGS
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
        let of = |time, memory| lambda(time, memory, Processor::X86);
        assert!((of(235.0, WHOLE_CPU) / of(812.0, 512.0) - 1.0).abs() < 0.01);
    }

    /// A million calls of 120 ms at 1536 MB are 180,000 GB-seconds.
    #[test]
    fn a_million_calls_cost_their_gigabyte_seconds_and_requests() {
        assert!((lambda(120.0, 1536.0, Processor::X86) - 3.20).abs() < 0.01);
        assert!((lambda(120.0, 1536.0, Processor::Arm) - 2.60).abs() < 0.01);
    }

    #[test]
    fn a_sign_in_takes_three_writes_and_six_reads() {
        assert!((KNOWN_ADDRESS.price() - 2.625).abs() < 1e-9);
    }
}
