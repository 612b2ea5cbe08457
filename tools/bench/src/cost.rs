//! What the stack costs on AWS, from measured times and published prices: in dollars per million, where nothing else is
//! said.

use crate::comparison::{self, Prices};
use crate::idle::Monthly;
use crate::prices::{
    GIGABYTE_OF_LOGS, GIGABYTE_SECOND_ARM, GIGABYTE_SECOND_X86, HTTP_REQUESTS, INVOCATIONS, READ_UNITS, REST_REQUESTS,
    SECRET_CALLS, WRITE_UNITS,
};
use crate::table;

/// The memory size at which Lambda gives a whole vCPU, in MB.
const WHOLE_CPU: f64 = 1769.0;
/// The authorizer's memory size in template.yaml, in MB.
const AUTHORIZER: f64 = 256.0;
/// Assumed, not measured: what a call to `DynamoDB` takes of a function's time, in milliseconds.
const STORE_CALL: f64 = 5.0;
/// Assumed: what an instance's first call takes beside what is measured, in milliseconds. Lambda starts the program, and
/// the connections cross a network.
const START: f64 = 50.0;
/// Assumed: what Lambda's START, END and REPORT take, in bytes.
const LAMBDA_LINES: f64 = 300.0;
/// What login's line for a sign-in or a refresh takes, in bytes, with two scopes and a short name.
const LOGIN_LINE: f64 = 580.0;
/// The same for a wrong password.
const REFUSED_LINE: f64 = 540.0;
/// The same for the authorizer's line.
const AUTHORIZER_LINE: f64 = 310.0;
/// The same for the gateway's, in the format of template.yaml.
const GATEWAY_LINE: f64 = 440.0;

/// What a request asks of the table: how often it waits for calls, and units.
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

/// From an address that isn't known: as for a sign-in the guess is counted in the account's window and at the address, and
/// then the failure at the address over all accounts.
const WRONG_PASSWORD: StoreUse = StoreUse { calls: 3.0, writes: 4.0, reads: 4.0 };
/// The user and the hash are read consistently while the session is moved on.
const REFRESH: StoreUse = StoreUse { calls: 1.0, writes: 1.0, reads: 2.0 };
/// What the authorizer asks where it reads the session: eventually consistently, for half a unit.
const SESSION: StoreUse = StoreUse { calls: 1.0, writes: 0.0, reads: 0.5 };
const NOTHING: StoreUse = StoreUse { calls: 0.0, writes: 0.0, reads: 0.0 };

#[derive(Clone, Copy)]
enum Processor {
    X86,
    Arm,
}

/// What the tables are made from, in milliseconds.
struct Times {
    /// Of a core, for a sign-in with a hash of cost 12.
    login: f64,
    /// The same with a hash of a millisecond: a refresh has none, and takes less.
    refresh: f64,
    /// Of a core, for a call.
    authorizer: f64,
    /// What an instance's first call takes more than another, of login.
    login_start: f64,
    /// The same of the authorizer.
    authorizer_start: f64,
}

/// What `cargo run --release --manifest-path tools/bench/Cargo.toml` printed on 2026-11-24, on a virtual machine with two
/// cores: CPU per call of `login, cost 12`, `login, cost 4` and `authorizer, ES256 from the table`, and of the latter two
/// the cold start without a warm call.
const RECORDED: Times = Times {
    login: 236.1,
    refresh: 1.8194,
    authorizer: 0.0979,
    login_start: 6.39 - 2.5554,
    authorizer_start: 2.74 - 0.0895,
};

/// The tables. Those for a month are for a stack that has this.
pub(crate) fn tables(monthly: Monthly) -> String {
    let times = &RECORDED;
    let mut text = String::new();
    sign_ins(&mut text, times);
    other_requests(&mut text, times);
    extras(&mut text, times);
    calls(&mut text, times);
    lines(&mut text);
    comparison::tables(&mut text, &prices(times, monthly));
    text
}

fn sign_ins(text: &mut String, times: &Times) {
    let rows = [10, 11, 12, 13].into_iter().flat_map(|cost| {
        [512.0, 1024.0, WHOLE_CPU]
            .map(|memory| row(format!("bcrypt cost {cost}, {memory} MB"), &sign_in(times, cost, memory)))
    });
    table::write(text, heads("sign-ins"), rows);
}

fn other_requests(text: &mut String, times: &Times) {
    let rows =
        [("a refresh, 1769 MB", refresh(times)), ("a wrong password, bcrypt cost 12, 1769 MB", wrong_password(times))];
    table::write(
        text,
        heads("other requests to login"),
        rows.map(|(what, work)| row(what.to_owned(), &work)).into_iter(),
    );
}

fn extras(text: &mut String, times: &Times) {
    let secret = SECRET_CALLS * 100.0;
    // Of sign-ins that take a quarter of a second each.
    let rows = [
        ("from an address that isn't known: DynamoDB, in all", NEW_ADDRESS.price()),
        ("each more than a minute after the instance's last: Secrets Manager", secret),
        ("instances that are busy all the time, one call a minute: Secrets Manager", secret / 240.0),
        ("each the first of its instance: Lambda, more", first_call(times.login_start, WHOLE_CPU)),
    ];
    let rows = rows.into_iter().map(|(what, price)| [what.to_owned(), dollars(price)]);
    table::write(text, ["beside that, for sign-ins", "dollars"], rows);
}

fn calls(text: &mut String, times: &Times) {
    let rows = [128.0, AUTHORIZER, 512.0].into_iter().flat_map(|memory| {
        [("off", NOTHING), ("0", SESSION)].map(|(revocation, store)| {
            row(format!("{memory} MB, LiveRevocation {revocation}"), &check(times, store, memory))
        })
    });
    table::write(text, heads("authorized calls, without their function"), rows);
    let more = ["each the first of its instance, 256 MB: Lambda, more".to_owned(), dollars(first_of_authorizer(times))];
    table::write(text, ["beside that, for authorized calls", "dollars"], [more].into_iter());
}

/// What of the figures above is log.
fn lines(text: &mut String) {
    let rows = [
        ("login, of a sign-in or a refresh", LOGIN_LINE),
        ("login, of a wrong password", REFUSED_LINE),
        ("the authorizer", AUTHORIZER_LINE),
        ("Lambda's START, END and REPORT, beside each of these", LAMBDA_LINES),
        ("the gateway, of each request", GATEWAY_LINE),
    ];
    let rows = rows.into_iter().map(|(what, bytes)| [what.to_owned(), format!("{bytes}"), dollars(log_of(bytes))]);
    table::write(text, ["lines of the log", "bytes", "dollars"], rows);
}

fn prices(times: &Times, monthly: Monthly) -> Prices {
    Prices {
        sign_in: sign_in(times, 12, WHOLE_CPU).all() + request(REST_REQUESTS),
        wrong_password: wrong_password(times).all() + request(REST_REQUESTS),
        refresh: refresh(times).all() + request(REST_REQUESTS),
        check: check(times, SESSION, AUTHORIZER).all(),
        first_of_login: first_call(times.login_start, WHOLE_CPU),
        first_of_authorizer: first_of_authorizer(times),
        stack: monthly.in_use(),
    }
}

fn heads(first: &str) -> [&str; 8] {
    [first, "billed time", "Lambda", "on arm64", "DynamoDB", "log", "with a REST API", "with an HTTP API"]
}

fn row(what: String, work: &Work) -> [String; 8] {
    [
        what,
        format!("{:.0} ms", work.time),
        dollars(lambda(work.time, work.memory, Processor::X86)),
        dollars(lambda(work.time, work.memory, Processor::Arm)),
        dollars(work.store.price()),
        dollars(work.log()),
        dollars(work.all() + request(REST_REQUESTS)),
        dollars(work.all() + request(HTTP_REQUESTS)),
    ]
}

/// From a known address. Each step of the hash's cost doubles its work, which is nearly all.
fn sign_in(times: &Times, cost: i32, memory: f64) -> Work {
    Work::new(times.login * 2_f64.powi(cost - 12), memory, KNOWN_ADDRESS, LOGIN_LINE)
}

fn wrong_password(times: &Times) -> Work {
    Work::new(times.login, WHOLE_CPU, WRONG_PASSWORD, REFUSED_LINE)
}

fn refresh(times: &Times) -> Work {
    Work::new(times.refresh, WHOLE_CPU, REFRESH, LOGIN_LINE)
}

fn check(times: &Times, store: StoreUse, memory: f64) -> Work {
    Work::new(times.authorizer, memory, store, AUTHORIZER_LINE)
}

fn first_of_authorizer(times: &Times) -> f64 {
    first_call(times.authorizer_start, AUTHORIZER)
}

/// What a function does for a request.
struct Work {
    /// Milliseconds that Lambda bills.
    time: f64,
    memory: f64,
    store: StoreUse,
    /// Bytes of the function's line.
    line: f64,
}

impl Work {
    fn new(on_core: f64, memory: f64, store: StoreUse, line: f64) -> Self {
        Self { time: billed(on_core, store.calls * STORE_CALL, memory), memory, store, line }
    }

    fn log(&self) -> f64 {
        log_of(self.line + LAMBDA_LINES)
    }

    /// On x86, without the gateway.
    fn all(&self) -> f64 {
        lambda(self.time, self.memory, Processor::X86) + self.store.price() + self.log()
    }
}

impl StoreUse {
    fn price(self) -> f64 {
        self.writes * WRITE_UNITS + self.reads * READ_UNITS
    }
}

/// Milliseconds of a call that works on the core for `work` of them and waits for others: less memory is a smaller share
/// of a core, and Lambda rounds up.
fn billed(work: f64, waits: f64, memory: f64) -> f64 {
    (work * (WHOLE_CPU / memory).max(1.0) + waits).ceil()
}

/// Dollars for a million invocations that take this many milliseconds each.
fn lambda(duration: f64, memory: f64, processor: Processor) -> f64 {
    let rate = match processor {
        Processor::X86 => GIGABYTE_SECOND_X86,
        Processor::Arm => GIGABYTE_SECOND_ARM,
    };
    INVOCATIONS + 1e6 * duration / 1e3 * memory / 1024.0 * rate
}

/// Dollars for what a million first calls of instances take longer than others.
fn first_call(longer: f64, memory: f64) -> f64 {
    lambda(billed(longer, START, memory), memory, Processor::X86) - INVOCATIONS
}

/// Dollars for a million lines of this many bytes.
fn log_of(bytes: f64) -> f64 {
    1e6 * bytes / 1e9 * GIGABYTE_OF_LOGS
}

/// Dollars for a million requests that the gateway takes at this price, with its line for each.
fn request(price: f64) -> f64 {
    price + log_of(GATEWAY_LINE)
}

/// To the cent.
pub(crate) fn dollars(price: f64) -> String {
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
    fn the_page_of_costs_has_the_tables() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/costs.md")).unwrap();
        let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap();
        let tables = tables(Monthly::of(&template, &std::collections::BTreeMap::new()).unwrap());
        for table in tables.split_terminator("\n\n") {
            assert!(page.contains(table), "docs/costs.md lacks:\n{table}");
        }
    }

    #[test]
    fn a_sign_in_takes_three_writes_and_six_reads() {
        assert!((KNOWN_ADDRESS.price() - 2.625).abs() < 1e-9);
    }
}
