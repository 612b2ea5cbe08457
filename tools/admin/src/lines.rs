//! The files of accounts: JSON lines, CSV and htpasswd, read and written line by line.
//!
//! An error never quotes the line that it is about, because any part of a line may be a hash or a password.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
    str::FromStr,
};

use clap::ValueEnum;
use rand::CryptoRng;
use serde::Serialize;
use serde_json::Value;
use shared::{
    BoxError,
    password::PasswordHash,
    scope::Scopes,
    time::Timestamp,
    user::{Status, User},
    username::Username,
};

/// The longest line, in bytes. The longest that makes sense has about 2 KiB; without a bound, a file that is something
/// else altogether would be read into memory whole.
const MAX_LINE: u64 = 16 * 1024;

/// The members of an account, as the header of CSV and the fields of JSON name it.
const FIELDS: [&str; 6] = ["username", "hash", "scopes", "status", "created_at", "updated_at"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON lines: an object a line
    Jsonl,
    /// CSV: a header, and a line for each account
    Csv,
    /// htpasswd: a name, a colon and a hash a line
    Htpasswd,
}

impl Format {
    /// The format that was asked for, or else the one that the file's name tells.
    ///
    /// # Errors
    /// Neither says.
    pub(crate) fn of(asked: Option<Self>, file: &Path) -> Result<Self, BoxError> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        let told = match name.rsplit('.').next() {
            Some("jsonl" | "ndjson") => Some(Self::Jsonl),
            Some("csv") => Some(Self::Csv),
            Some("htpasswd") => Some(Self::Htpasswd),
            _ => None,
        };
        let unknown = "the file's name doesn't end in .jsonl, .ndjson, .csv or .htpasswd: say its --format";
        asked.or(told).ok_or_else(|| unknown.into())
    }
}

/// An account, as a line has it.
pub(crate) struct Account {
    pub(crate) username: Username,
    pub(crate) hash: PasswordHash,
    pub(crate) scopes: Scopes,
    /// Active, where the line doesn't say.
    pub(crate) status: Option<Status>,
    created: Option<Timestamp>,
    updated: Option<Timestamp>,
}

impl Account {
    /// The account as one of the table's, made now where the line doesn't say when.
    pub(crate) fn to_user(&self, now: Timestamp, rng: &mut impl CryptoRng) -> User {
        let user = User::new(self.username.clone(), self.hash.clone(), self.scopes.clone(), now, rng);
        User {
            status: self.status.unwrap_or(user.status),
            created: self.created.unwrap_or(user.created),
            updated: self.updated.or(self.created).unwrap_or(user.updated),
            ..user
        }
    }
}

/// Why a line is refused; and the account that it is about, if that can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) username: Option<Username>,
    pub(crate) reason: String,
}

impl Refusal {
    fn of_line(reason: impl Into<String>) -> Self {
        Self { username: None, reason: reason.into() }
    }
}

/// A line that isn't blank.
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// How many bytes of the file end with it.
    pub(crate) end: u64,
    pub(crate) account: Result<Account, Refusal>,
}

/// The lines of a file.
pub(crate) struct Lines<R> {
    input: R,
    format: Format,
    /// For CSV, which of [`FIELDS`] stands in which column.
    columns: Vec<usize>,
    number: u64,
    end: u64,
}

impl<R: BufRead> Lines<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// The file can't be read, or is CSV without a usable header.
    pub(crate) fn new(input: R, format: Format) -> Result<Self, BoxError> {
        let mut lines = Self { input, format, columns: Vec::new(), number: 0, end: 0 };
        if format == Format::Csv {
            let header = lines.read()?.and_then(Result::ok).unwrap_or_default();
            lines.columns = columns(&header)?;
        }
        Ok(lines)
    }

    /// The next line that isn't blank, and for htpasswd no comment.
    ///
    /// # Errors
    /// The file can't be read.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        while let Some(text) = self.read()? {
            let account = match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) if self.format == Format::Htpasswd && text.starts_with('#') => continue,
                Ok(text) => self.account(&text),
                Err(refusal) => Err(refusal),
            };
            return Ok(Some(Line { number: self.number, end: self.end, account }));
        }
        Ok(None)
    }

    /// Reads a line, without its end and without the mark that some programs begin a file with.
    fn read(&mut self) -> io::Result<Option<Result<String, Refusal>>> {
        let mut line = Vec::new();
        let length = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.end += length as u64;
        if length as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            self.end += self.input.skip_until(b'\n')? as u64;
            return Ok(Some(Err(Refusal::of_line("the line has more than 16 KiB"))));
        }
        let Ok(text) = String::from_utf8(line) else {
            return Ok(Some(Err(Refusal::of_line("the line is no UTF-8"))));
        };
        let text = if self.number == 1 { text.trim_start_matches('\u{FEFF}') } else { &text };
        Ok(Some(Ok(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    fn account(&self, text: &str) -> Result<Account, Refusal> {
        let fields = match self.format {
            Format::Jsonl => json_fields(text)?,
            Format::Csv => csv_fields(text, &self.columns)?,
            Format::Htpasswd => {
                let (name, hash) = text.split_once(':').ok_or_else(|| Refusal::of_line("the line has no colon"))?;
                let mut fields = Fields::default();
                fields[0] = Some(name.to_owned());
                fields[1] = Some(hash.to_owned());
                fields
            }
        };
        account(&fields)
    }
}

/// The fields of a line, in the order of [`FIELDS`].
type Fields = [Option<String>; FIELDS.len()];

fn account(fields: &Fields) -> Result<Account, Refusal> {
    let [username, hash, scopes, status, created, updated] = fields;
    let username = parse::<Username>("username", username.as_deref())
        .and_then(|username| username.ok_or_else(|| "the username is missing".to_owned()))
        .map_err(Refusal::of_line)?;
    let rest = || {
        let hash = hash.as_deref().ok_or("the hash is missing")?;
        Ok((
            PasswordHash::parse(hash).map_err(|problem| format!("the hash {problem}"))?,
            parse("scopes", scopes.as_deref())?.unwrap_or_default(),
            parse("status", status.as_deref())?,
            parse::<Seconds>("created_at", created.as_deref())?,
            parse::<Seconds>("updated_at", updated.as_deref())?,
        ))
    };
    match rest() {
        Ok((hash, scopes, status, created, updated)) => Ok(Account {
            username,
            hash,
            scopes,
            status,
            created: created.map(|seconds| seconds.0),
            updated: updated.map(|seconds| seconds.0),
        }),
        Err(reason) => Err(Refusal { username: Some(username), reason }),
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: Option<&str>) -> Result<Option<T>, String> {
    text.map(str::parse).transpose().map_err(|problem| format!("the {name} {problem}"))
}

struct Seconds(Timestamp);

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|seconds| Self(Timestamp(seconds))).map_err(|_| "must be whole seconds since 1970")
    }
}

fn json_fields(text: &str) -> Result<Fields, Refusal> {
    // The reader's own message may quote what stands there.
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err(Refusal::of_line("the line is no JSON object"));
    };
    let username = object.get("username").and_then(Value::as_str).and_then(|name| Username::parse(name).ok());
    let mut fields = Fields::default();
    for (name, value) in object {
        let read = FIELDS
            .iter()
            .position(|field| *field == name)
            .ok_or_else(|| format!("the line has another field than {}", FIELDS.join(", ")))
            .and_then(|field| Ok((field, json_text(FIELDS[field], value)?)));
        match read {
            Ok((field, text)) => fields[field] = text,
            Err(reason) => return Err(Refusal { username, reason }),
        }
    }
    Ok(fields)
}

fn json_text(field: &str, value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(scopes) if field == "scopes" => {
            let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
            Ok(Some(scopes.ok_or("the scopes are no strings")?.join(" ")))
        }
        _ => Err(format!("the {field} is no string")),
    }
}

/// The field of [`FIELDS`] that each column holds.
fn columns(header: &str) -> Result<Vec<usize>, BoxError> {
    let usage =
        || format!("the first line has to name the columns: username and hash, and any of {}", FIELDS[2..].join(", "));
    let mut columns = Vec::new();
    for name in &split(header).ok_or_else(usage)? {
        let column = FIELDS.iter().position(|field| *field == name.trim()).filter(|column| !columns.contains(column));
        columns.push(column.ok_or_else(usage)?);
    }
    if columns.contains(&0) && columns.contains(&1) { Ok(columns) } else { Err(usage().into()) }
}

fn csv_fields(text: &str, columns: &[usize]) -> Result<Fields, Refusal> {
    let values = split(text).ok_or_else(|| Refusal::of_line("the line is no CSV"))?;
    if values.len() != columns.len() {
        let reason = format!("columns: {} in the line, {} in the header", values.len(), columns.len());
        return Err(Refusal::of_line(reason));
    }
    let mut fields = Fields::default();
    for (value, &column) in values.iter().zip(columns) {
        fields[column] = (!value.is_empty()).then(|| value.to_owned());
    }
    Ok(fields)
}

/// The fields of a line of CSV. No field of an account has a line break, so every line stands for itself, and a lost
/// quote takes no other line with it.
fn split(line: &str) -> Option<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).buffer_capacity(1024).from_reader(line.as_bytes());
    reader.records().next()?.ok()
}

/// Writes accounts as lines.
pub(crate) enum Writer<W: Write> {
    Jsonl(W),
    Csv(Box<csv::Writer<W>>),
}

/// An account's line of JSON, with the names of [`FIELDS`].
#[derive(Serialize)]
struct Object<'a> {
    username: &'a str,
    hash: &'a str,
    scopes: Vec<&'a str>,
    status: &'a str,
    created_at: u64,
    updated_at: u64,
}

impl<W: Write> Writer<W> {
    /// Begins to write.
    ///
    /// # Errors
    /// The format has no place for all of an account, or the header can't be written.
    pub(crate) fn new(output: W, format: Format) -> Result<Self, BoxError> {
        match format {
            Format::Jsonl => Ok(Self::Jsonl(output)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(output);
                writer.write_record(FIELDS)?;
                Ok(Self::Csv(Box::new(writer)))
            }
            Format::Htpasswd => Err("htpasswd has no place for scopes and status: use jsonl or csv".into()),
        }
    }

    /// Writes an account.
    ///
    /// # Errors
    /// The line can't be written.
    pub(crate) fn write(&mut self, user: &User) -> Result<(), BoxError> {
        let object = Object {
            username: user.username.as_str(),
            hash: user.password_hash.as_str(),
            scopes: user.scopes.iter().collect(),
            status: user.status.as_str(),
            created_at: user.created.0,
            updated_at: user.updated.0,
        };
        match self {
            Self::Jsonl(output) => {
                serde_json::to_writer(&mut *output, &object)?;
                output.write_all(b"\n")?;
            }
            Self::Csv(writer) => writer.write_record([
                object.username,
                object.hash,
                &object.scopes.join(" "),
                object.status,
                &object.created_at.to_string(),
                &object.updated_at.to_string(),
            ])?,
        }
        Ok(())
    }

    /// Writes what is still held back, and gives the output back.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn finish(self) -> Result<W, BoxError> {
        match self {
            Self::Jsonl(mut output) => {
                output.flush()?;
                Ok(output)
            }
            Self::Csv(writer) => Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use shared::random;

    use super::*;

    fn read(text: &[u8], format: Format) -> Vec<Line> {
        let mut lines = Lines::new(text, format).unwrap();
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    #[test]
    fn the_format_is_what_was_asked_for_or_what_the_name_tells() {
        for (name, format) in [
            ("users.jsonl", Format::Jsonl),
            ("a/USERS.NDJSON", Format::Jsonl),
            ("a.b.csv", Format::Csv),
            (".htpasswd", Format::Htpasswd),
            ("htpasswd", Format::Htpasswd),
        ] {
            assert_eq!(Format::of(None, Path::new(name)).unwrap(), format, "{name}");
            assert_eq!(Format::of(Some(Format::Csv), Path::new(name)).unwrap(), Format::Csv);
        }
        for name in ["-", "users", "users.json", "users.csv.gz", ""] {
            assert!(Format::of(None, Path::new(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn lines_are_counted_with_those_that_are_blank_or_too_long() {
        let text = format!("\n{}\n# a\nb\n", "x".repeat(3 * 16 * 1024));
        let lines = read(text.as_bytes(), Format::Htpasswd);
        let ends: Vec<(u64, u64)> = lines.iter().map(|line| (line.number, line.end)).collect();
        assert_eq!(ends, [(2, text.len() as u64 - 6), (4, text.len() as u64)]);
    }

    #[test]
    fn what_is_no_utf_8_is_refused() {
        let lines = read(b"a:\xFF\nb\n", Format::Htpasswd);
        let reasons: Vec<_> = lines.into_iter().map(|line| line.account.err().unwrap().reason).collect();
        assert_eq!(reasons, ["the line is no UTF-8", "the line has no colon"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[A-Za-z0-9._@+-]{1,64}",
            scopes in "([!#-\\[\\]-~]{1,9}( [!#-\\[\\]-~]{1,9}){0,5})?",
            disabled: bool,
            created: u32,
        ) {
            let hash = PasswordHash::parse("$bcrypt-sha256$v=2,t=2b,r=4$4sFnYUDLEs4NI6eyU2.Uye$p6WmoK8oZ15Wb.Iwnfu4G8p0eqrt0zS");
            let created = Timestamp(created.into());
            let (name, scopes, mut rng) = (name.parse().unwrap(), scopes.parse().unwrap(), random::system());
            let mut user = User::new(name, hash.unwrap(), scopes, created, &mut rng);
            user.updated = Timestamp(created.0 + 1);
            user.status = if disabled { Status::Disabled } else { Status::Active };
            for format in [Format::Jsonl, Format::Csv] {
                let mut writer = Writer::new(Vec::new(), format).unwrap();
                writer.write(&user).unwrap();
                let mut lines = read(&writer.finish().unwrap(), format);
                let read = lines.remove(0).account.ok().unwrap().to_user(Timestamp(u64::MAX), &mut rng);
                prop_assert!(lines.is_empty());
                prop_assert_eq!(read.username.as_str(), user.username.as_str());
                prop_assert_eq!(read.password_hash.as_str(), user.password_hash.as_str());
                prop_assert_eq!((&read.scopes, read.status), (&user.scopes, user.status));
                prop_assert_eq!((read.created, read.updated), (user.created, user.updated));
            }
        }

        #[test]
        fn whatever_stands_there_is_read_or_refused(text: Vec<u8>, rest in "[{}\\[\\]:,\"a-z\n]*") {
            for format in [Format::Jsonl, Format::Csv, Format::Htpasswd] {
                let text = [b"username,hash\n", text.as_slice(), rest.as_bytes()].concat();
                let _ = read(&text, format);
            }
        }
    }
}
