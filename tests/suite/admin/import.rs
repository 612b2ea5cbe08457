//! `admin user import`: the accounts of a file, added to the table.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use rand::{rand_core::UnwrapErr, rngs::SysRng};
use shared::{
    password::{Cost, PasswordHash},
    user::Status,
};
use tempfile::TempDir;

use super::{accounts, admin, assert_done, assert_refused, command, text};
use crate::{
    api::{Api, PASSWORD, hash},
    proxy::{Cut, Proxy},
};

/// What other systems have for a user of this name with this password, at costs of 4 and 5.
const HASHES: [(&str, &str, &str); 10] = [
    ("2a", "U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    ("2b", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", X),
    ("2y", "test", "$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
    ("django", "U*U", "bcrypt$$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("django-2y", "test", "bcrypt$$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
    ("django-sha256", "correct horse", "bcrypt_sha256$$2b$04$swjJBTO4y9RU3SlzRS.IWOC66fi.Vd3.i59vd5SztbccQi3sf0wdC"),
    ("spring", "U*U", "{bcrypt}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("v1-2a", "correct horse", "$bcrypt-sha256$2a,4$AeO4RRqLH72cAUo10zdSee$pfKl1VK22TXjTHvQfCDiZ4DqDKjCu3m"),
    ("v1-2b", "correct horse", "$bcrypt-sha256$2b,4$pKX97IfH0aGtTsCict5Rnu$tLlwLOUIi6xBL3gggeGRcGDKDB1H.Aa"),
    ("passlib", "correct horse", "$bcrypt-sha256$v=2,t=2b,r=4$4sFnYUDLEs4NI6eyU2.Uye$p6WmoK8oZ15Wb.Iwnfu4G8p0eqrt0zS"),
];

/// Of 80 times `x`, of which bcrypt looks at 72.
const X: &str = "$2b$04$DFpog9GK2Tmis56sfmTXW.JwJly.lpWePc/MmTrjaESLoT8NMsfCG";

/// A file that is gone with its folder.
struct File(TempDir, PathBuf);

impl File {
    fn new(name: &str, contents: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        Self(folder, path)
    }

    fn path(&self) -> &str {
        self.1.to_str().unwrap()
    }
}

/// A file of CSV with this many users, whose hashes no password fits but for each of `known`.
fn many(users: usize, known: impl Fn(usize) -> Option<PasswordHash>) -> File {
    let mut lines = "username,hash,scopes\n".to_owned();
    for number in 0..users {
        let decoy = || PasswordHash::decoy(Cost::new(4).unwrap(), &mut UnwrapErr(SysRng));
        let hash = known(number).unwrap_or_else(decoy);
        writeln!(lines, "user{number},\"{}\",read group{}", hash.as_str(), number % 7).unwrap();
    }
    File::new("users.csv", &lines)
}

fn import(api: &Api, file: &Path, more: &[&str]) -> std::process::Output {
    admin(api, &[&["user", "import", file.to_str().unwrap()], more].concat(), "")
}

/// Begins an import, and waits until it has written some accounts.
async fn begun(api: &Api, file: &File) -> Child {
    let before = accounts(&api.store).await.len();
    let child = command(api, api.stack.store_url(), &["user", "import", file.path()]).spawn().unwrap();
    api.until(async || accounts(&api.store).await.len() > before + 100).await;
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_every_format_and_every_hash_sign_in() {
    let api = Api::start().await;
    let mut jsonl = String::new();
    let mut csv = "scopes,hash,username\r\n".to_owned();
    let mut htpasswd = "# made by htpasswd\n\n".to_owned();
    for (name, _, hash) in HASHES {
        writeln!(jsonl, r#"{{"username":"{name}.jsonl","hash":"{hash}","scopes":["read","write"]}}"#).unwrap();
        write!(csv, "read write,\"{hash}\",{name}.csv\r\n").unwrap();
        writeln!(htpasswd, "{name}.htpasswd:{hash}").unwrap();
    }
    // The last line may end without a line break, and the file begin with a mark.
    let contents = [("jsonl", jsonl.trim_end()), ("csv", &format!("\u{FEFF}{csv}")), ("htpasswd", &htpasswd)];
    for (format, contents) in contents {
        for (file, more) in [(format!("users.{format}"), vec![]), ("users".to_owned(), vec!["--format", format])] {
            let file = File::new(&file, contents);
            let said = assert_done(&import(&api, &file.1, &more));
            let expected = if more.is_empty() { "10 added, 0 there already" } else { "0 added, 10 there already" };
            assert_eq!(said, format!("{expected}, 0 refused\n"));
        }
        let piped = admin(&api, &["user", "import", "-", "--format", format], contents);
        assert_eq!(assert_done(&piped), "0 added, 10 there already, 0 refused\n");
        for (name, password, _) in HASHES {
            let answer = api.login(&[("username", &format!("{name}.{format}")), ("password", password)]).await;
            assert_eq!(answer.status, 200, "{name}.{format}: {}", answer.text);
            let scope = if format == "htpasswd" { None } else { Some("read write") };
            assert_eq!(answer.json()["scope"].as_str(), scope);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_may_tell_status_and_times() {
    let api = Api::start().await;
    let hash = HASHES[0].2;
    let file = File::new(
        "users.jsonl",
        &format!(
            r#"{{"username":"Old","hash":"{hash}","scopes":"write read","status":"disabled","created_at":1000,"updated_at":2000}}
               {{"username":"new","hash":"{hash}","scopes":[],"status":null}}"#
        ),
    );
    assert_done(&import(&api, &file.1, &[]));
    let old = api.user("old").await;
    assert_eq!((old.username.as_str(), old.status), ("Old", Status::Disabled));
    assert_eq!((old.created.0, old.updated.0, old.scopes.to_string().as_str()), (1000, 2000, "read write"));
    let new = api.user("new").await;
    // Sessions of an account that had this name before shall not come back to life.
    assert_ne!((old.password_version, old.account), (new.password_version, new.account));
    assert!(new.status == Status::Active && new.scopes.is_empty() && new.created.0 > 1_700_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_deleted_user_is_not_imported() {
    let api = Api::start().await;
    assert!(
        api.store
            .remove_user(&"johndoe".parse().unwrap(), crate::api::now(), std::time::Duration::from_mins(1))
            .await
            .unwrap()
    );
    let file = File::new("users.csv", &format!("username,hash\nJohnDoe,{}\n", HASHES[0].2));
    for arguments in [&["--dry-run"][..], &[]] {
        assert_refused(&import(&api, &file.1, arguments), "line 2 (JohnDoe): the user JohnDoe was deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_lines_are_reported_and_the_others_added() {
    let api = Api::start().await;
    let (plain, long) = (HASHES[0].2, "x".repeat(20_000));
    let jsonl = format!(
        r#"{{"username":"a b","hash":"{plain}"}}
{{"hash":"{plain}"}}
{{"username":"no-hash"}}
{{"username":"apr1","hash":"$apr1$canary"}}
{{"username":"argon","hash":"$argon2id$v=19$m=65536,t=3,p=4$canary"}}
{{"username":"costly","hash":"$2b$17$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"}}
{{"username":"cut","hash":"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp"}}
{{"username":"scopes","hash":"{plain}","scopes":["a\"canary"]}}
{{"username":"list","hash":"{plain}","scopes":[1]}}
{{"username":"status","hash":"{plain}","status":"canary"}}
{{"username":"time","hash":"{plain}","created_at":-1}}
{{"username":"typo","hash":"{plain}","scope":"canary"}}
{{"username":"kind","hash":["{plain}"]}}
{{"username":"half","hash":"{plain}
"{plain}"
{long}
{{"username":"johndoe","hash":"{plain}"}}
{{"username":"good","hash":"{plain}"}}
"#
    );
    let output = import(&api, &File::new("users.jsonl", &jsonl).1, &[]);
    assert_eq!(text(&output.stdout), "1 added, 0 there already, 17 refused\n");
    let reports = "\
refused: line 1: the username must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -
refused: line 2: the username is missing
refused: line 3 (no-hash): the hash is missing
refused: line 4 (apr1): the hash is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of passlib or Django
refused: line 5 (argon): the hash is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of passlib or Django
refused: line 6 (costly): the hash has a cost outside 4 to 16
refused: line 7 (cut): the hash has a damaged salt or digest
refused: line 8 (scopes): the scopes must be a list of scopes separated by single spaces, each of printable ASCII without \" and \\, at most 1024 characters in all
refused: line 9 (list): the scopes are no strings
refused: line 10 (status): the status must be active or disabled
refused: line 11 (time): the created_at must be whole seconds since 1970
refused: line 12 (typo): the line has another field than username, hash, scopes, status, created_at, updated_at
refused: line 13 (kind): the hash is no string
refused: line 14: the line is no JSON object
refused: line 15: the line is no JSON object
refused: line 16: the line has more than 16 KiB
refused: line 17 (johndoe): there is an account of this name with another hash, and it stays as it was
error: refused lines: 17";
    let mut said: Vec<String> = text(&output.stderr).lines().map(str::to_owned).collect();
    // What the table refuses is said when the table has answered.
    said.sort_by_key(|line| line.split([' ', ':']).nth(3).and_then(|number| number.parse().ok()).unwrap_or(99));
    assert_eq!(said.join("\n"), reports);
    assert!(!output.status.success());
    assert_eq!(accounts(&api.store).await.into_keys().collect::<Vec<_>>(), ["good", "johndoe"]);
    api.token().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_line_of_csv_or_htpasswd_leaves_the_others() {
    let api = Api::start().await;
    let hash = HASHES[0].2;
    let csv = format!("username,hash\nshort\nlong,{hash},canary\nlost,\"{hash}\n{hash},swapped\n\"good\",{hash}\n");
    let output = import(&api, &File::new("users.csv", &csv).1, &[]);
    assert_eq!(
        text(&output.stderr),
        "refused: line 2: columns: 1 in the line, 2 in the header\n\
         refused: line 3: columns: 3 in the line, 2 in the header\n\
         refused: line 5: the username must be 1 to 64 characters of A-Z, a-z, 0-9 and . _ @ + -\n\
         error: refused lines: 3\n"
    );
    let output = import(&api, &File::new(".htpasswd", &format!("canary\nfine:{hash}\n")).1, &[]);
    assert_eq!(text(&output.stderr), "refused: line 1: the line has no colon\nerror: refused lines: 1\n");
    let names: Vec<_> = accounts(&api.store).await.into_keys().collect();
    assert_eq!(names, ["fine", "good", "johndoe", "lost"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_tells_no_format_or_no_columns_is_refused_whole() {
    let api = Api::start().await;
    let hash = HASHES[0].2;
    for (name, contents, message) in [
        ("users.txt", String::new(), "say its --format"),
        ("users.csv", String::new(), "the first line has to name the columns"),
        ("users.csv", format!("alice,{hash}\n"), "the first line has to name the columns"),
        ("users.csv", format!("username,hash,scope\nalice,{hash},read\n"), "the first line has to name the columns"),
        ("users.csv", format!("username,hash,hash\nalice,{hash},{hash}\n"), "the first line has to name the columns"),
        ("users.csv", format!("username,scopes\nalice,{hash}\n"), "the first line has to name the columns"),
    ] {
        let output = import(&api, &File::new(name, &contents).1, &[]);
        assert_refused(&output, message);
        assert!(!text(&output.stderr).contains("$2"), "{}", text(&output.stderr));
    }
    assert_refused(&import(&api, Path::new("/nowhere/users.csv"), &[]), "/nowhere/users.csv can't be read");
    assert_eq!(accounts(&api.store).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_what_would_happen_and_writes_nothing() {
    let api = Api::start().await;
    let before = accounts(&api.store).await;
    let johndoe = api.user("johndoe").await.password_hash;
    let (johndoe, other) = (johndoe.as_str(), HASHES[0].2);
    let csv = format!("username,hash,scopes\njohndoe,\"{johndoe}\",read write\nJohnDoe,{other},\nalice,{other},\nb\n");
    let file = File::new("users.csv", &csv);
    let output = import(&api, &file.1, &["--dry-run"]);
    assert_eq!(text(&output.stdout), "1 would be added, 1 there already, 2 refused; nothing was written\n");
    assert_refused(&output, "refused: line 3 (JohnDoe): there is an account of this name with another hash");
    assert_eq!(accounts(&api.store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_differs_stays_as_it_was() {
    let api = Api::start().await;
    let before = accounts(&api.store).await;
    let hash = api.user("johndoe").await.password_hash;
    for (scopes, status, difference) in
        [("read", "", "other scopes"), ("", "", "other scopes"), ("read write", "disabled", "another status")]
    {
        let csv = format!("username,hash,scopes,status\njohndoe,\"{}\",{scopes},{status}\n", hash.as_str());
        let output = import(&api, &File::new("users.csv", &csv).1, &[]);
        assert_refused(&output, &format!("there is an account of this name with {difference}, and it stays as it was"));
    }
    assert_eq!(accounts(&api.store).await, before);

    // Where the line doesn't tell a status, that of an account that was disabled since is none of its business.
    assert_done(&admin(&api, &["user", "disable", "johndoe"], ""));
    let csv = format!("username,hash,scopes\njohndoe,\"{}\",read write\n", hash.as_str());
    let again = import(&api, &File::new("users.csv", &csv).1, &[]);
    assert_eq!(assert_done(&again), "0 added, 1 there already, 0 refused\n");
    assert_eq!(api.user("johndoe").await.status, Status::Disabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_lines_about_one_account_the_first_wins() {
    let api = Api::start().await;
    let lines: Vec<String> = (0..50)
        .map(|number| {
            let (first, second) = (HASHES[0].2, HASHES[2].2);
            format!("User{number}:{first}\nuser{number}:{second}\nUSER{number}:{first}\n")
        })
        .collect();
    let output = import(&api, &File::new(".htpasswd", &lines.concat()).1, &[]);
    assert_eq!(text(&output.stdout), "50 added, 50 there already, 50 refused\n");
    assert_eq!(api.user("user7").await.password_hash.as_str(), HASHES[0].2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hashes_that_are_dearer_than_the_stacks_are_warned_of() {
    let api = Api::start().await;
    let of_cost = |cost: u8| PasswordHash::decoy(Cost::new(cost).unwrap(), &mut UnwrapErr(SysRng));
    let lines: Vec<String> = (11..=14).map(|cost| format!("cost{cost}:{}\n", of_cost(cost).as_str())).collect();
    let file = File::new(".htpasswd", &lines.concat());
    for (more, warning) in [
        (&[][..], "warning: hashes that cost more than 12: 2, the first on line 3 (cost13, 13)"),
        (&["--bcrypt-cost", "10"], "warning: hashes that cost more than 10: 4, the first on line 1 (cost11, 11)"),
    ] {
        let output = import(&api, &file.1, more);
        assert_done(&output);
        assert!(text(&output.stderr).starts_with(warning), "{}", text(&output.stderr));
    }
    assert_eq!(text(&import(&api, &file.1, &["--bcrypt-cost", "14"]).stderr), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_resumed_after_a_kill_loses_and_doubles_nothing() {
    let api = Api::start().await;
    let file = many(10_000, |_| None);
    let mut child = begun(&api, &file).await;
    killed(&api, &mut child).await;
    let before = accounts(&api.store).await;
    assert!((100..10_000).contains(&before.len()), "{}", before.len());

    let there = before.len() - 1;
    let said = assert_done(&import(&api, &file.1, &[]));
    assert_eq!(said, format!("{} added, {there} there already, 0 refused\n", 10_000 - there));
    let after = accounts(&api.store).await;
    assert_eq!(after.len(), 10_001);
    assert!(before.iter().all(|(name, account)| after[name] == *account));
    assert_holds(&after, &file);

    let twice = assert_done(&import(&api, &file.1, &[]));
    assert_eq!(twice, "0 added, 10000 there already, 0 refused\n");
    assert_eq!(accounts(&api.store).await, after);
}

/// Kills the import and ends what it had under way: the store goes on with a request whose sender is gone, unless it is
/// stopped too.
async fn killed(api: &Api, import: &mut Child) {
    import.kill().unwrap();
    import.wait().unwrap();
    api.stack.stop_store().await;
    api.stack.start_store().await.unwrap();
}

/// Asserts that the hash of each line of the file is that of its account.
fn assert_holds(accounts: &std::collections::BTreeMap<String, String>, file: &File) {
    for line in fs::read_to_string(&file.1).unwrap().lines().skip(1) {
        let (name, rest) = line.split_once(',').unwrap();
        let hash = rest.split('"').nth(1).unwrap();
        assert!(accounts[name].starts_with(hash), "{name}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_says_how_far_it_came() {
    let api = Api::start().await;
    let file = many(10_000, |_| None);
    let child = begun(&api, &file).await;
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_refused(&output, "interrupted; run the same command again to go on");
    let added = accounts(&api.store).await.len() - 1;
    assert_eq!(text(&output.stdout), format!("{added} added, 0 there already, 0 refused\n"));
    let said = assert_done(&import(&api, &file.1, &[]));
    assert_eq!(said, format!("{} added, {added} there already, 0 refused\n", 10_000 - added));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_table_goes_away_says_so_and_can_go_on() {
    let api = Api::start().await;
    let file = many(500, |_| None);
    let proxy = Proxy::start(api.stack.store_url()).await;
    for cut in [Cut::Before, Cut::After] {
        proxy.cut_of("TransactWriteItems", 4, cut);
        let output = command(&api, &proxy.url, &["user", "import", file.path()]).output().unwrap();
        assert_refused(&output, "the table could not be reached");
        assert_refused(&output, "run the same command again to go on");
    }
    proxy.heal();
    let there = accounts(&api.store).await.len() - 1;
    let said = assert_done(&import(&api, &file.1, &[]));
    assert_eq!(said, format!("{} added, {there} there already, 0 refused\n", 500 - there));
    assert_holds(&accounts(&api.store).await, &file);
}

/// As many users as a large system has, interrupted and gone on with; every thousandth signs in afterwards. It prints how
/// long each step took:
///
/// `cargo test -p tests --test suite -- --ignored --nocapture a_hundred_thousand_users`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_hundred_thousand_users_are_imported_within_minutes() {
    const USERS: usize = 100_000;
    let api = Api::start().await;
    let known = hash(PASSWORD);
    let file = many(USERS, |number| (number % 1000 == 0).then(|| known.clone()));
    let mut child = begun(&api, &file).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    killed(&api, &mut child).await;
    let there = accounts(&api.store).await.len() - 1;

    let begin = Instant::now();
    let said = assert_done(&import(&api, &file.1, &[]));
    report("the rest", begin, &said);
    assert_eq!(said, format!("{} added, {there} there already, 0 refused\n", USERS - there));
    let all = accounts(&api.store).await;
    assert_eq!(all.len(), USERS + 1);
    assert_holds(&all, &file);

    let begin = Instant::now();
    report("once more", begin, &assert_done(&import(&api, &file.1, &[])));
    assert_eq!(accounts(&api.store).await, all);
    let begin = Instant::now();
    let export = file.0.path().join("export.jsonl");
    report("export", begin, &text(&admin(&api, &["user", "export", export.to_str().unwrap()], "").stderr));
    assert_eq!(fs::read_to_string(export).unwrap().lines().count(), USERS + 1);
    for number in (0..USERS).step_by(1000) {
        let name = format!("USER{number}");
        assert_eq!(api.login(&[("username", &name), ("password", PASSWORD)]).await.status, 200, "{name}");
    }
}

#[expect(clippy::print_stderr, reason = "the measurement is what this test is run for")]
fn report(step: &str, begin: Instant, said: &str) {
    eprintln!("{step}: {:.1} s, {}", begin.elapsed().as_secs_f64(), said.trim_end());
}
