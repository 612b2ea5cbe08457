//! `admin user export`: all accounts, as lines of a file that can be imported.

use std::{fs, path::Path};

use shared::{password::PasswordHash, user::Status};
use tempfile::TempDir;

use super::{accounts, admin, assert_done, assert_refused, text};
use crate::api::{Api, hash};

async fn with_several_users() -> Api {
    let api = Api::start().await;
    let plain = "$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm";
    // Hashes as other systems have them.
    for (name, hash) in [
        ("Plain", plain),
        ("spring", "{bcrypt}$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
        ("django", "bcrypt_sha256$$2b$04$swjJBTO4y9RU3SlzRS.IWOC66fi.Vd3.i59vd5SztbccQi3sf0wdC"),
        ("passlib", "$bcrypt-sha256$2a,4$AeO4RRqLH72cAUo10zdSee$pfKl1VK22TXjTHvQfCDiZ4DqDKjCu3m"),
    ] {
        api.add_user(name, PasswordHash::parse(hash).unwrap(), "", Status::Active).await;
    }
    api.add_user("a.b_c@d+e-f", hash("another password"), "one,two three", Status::Disabled).await;
    assert_done(&admin(&api, &["user", "set-scopes", "johndoe", "--scope", "read"], ""));
    api
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_and_imported_is_the_same() {
    let api = with_several_users().await;
    let folder = TempDir::new().unwrap();
    for format in ["jsonl", "csv"] {
        let file = folder.path().join(format!("users.{format}"));
        let file = file.to_str().unwrap();
        // An older file and what an interrupted export left behind are replaced.
        fs::write(file, "old").unwrap();
        fs::write(format!("{file}.part"), "old").unwrap();
        let exported = admin(&api, &["user", "export", file], "");
        assert_eq!(assert_done(&exported), "");
        assert_eq!(text(&exported.stderr), "users written: 6\n");
        assert!(!Path::new(&format!("{file}.part")).exists());

        let printed = assert_done(&admin(&api, &["user", "export", "-", "--format", format], ""));
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&printed), sorted(&fs::read_to_string(file).unwrap()));

        let fresh = Api::start().await;
        for command in ["delete", "free"] {
            assert_done(&admin(&fresh, &["user", command, "johndoe"], ""));
        }
        assert_eq!(assert_done(&admin(&fresh, &["user", "import", file], "")), "6 added, 0 there already, 0 refused\n");
        assert_eq!(accounts(&fresh.store).await, accounts(&api.store).await);
        let again = admin(&api, &["user", "import", "-", "--format", format], &printed);
        assert_eq!(assert_done(&again), "0 added, 6 there already, 0 refused\n");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let api = Api::start().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users.csv");
    assert_done(&admin(&api, &["user", "export", file.to_str().unwrap()], ""));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_are_named_and_left_out() {
    let api = with_several_users().await;
    api.damage_hash("plain").await;
    let output = admin(&api, &["user", "export", "-", "--format", "csv"], "");
    assert_refused(&output, "left out: the row \"CREDENTIAL#plain\" has no usable password_hash");
    assert_refused(&output, "users written: 5\nerror: rows that could not be read, and are left out: 1");
    assert_eq!(text(&output.stdout).lines().count(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_format_and_an_impossible_place_are_refused() {
    let api = Api::start().await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    assert_refused(&admin(&api, &["user", "export", "-"], ""), "say its --format");
    assert_refused(&admin(&api, &["user", "export", &path(".htpasswd")], ""), "use jsonl or csv");
    assert_refused(&admin(&api, &["user", "export", &path("none/users.csv")], ""), "can't be written");
    assert!(!folder.path().join(".htpasswd").exists());
}
