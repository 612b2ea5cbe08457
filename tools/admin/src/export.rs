//! `admin user export`: all accounts, as lines of a file.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use shared::{BoxError, store::Store};

use crate::{
    lines::{Format, Writer},
    terminal::{Progress, remark},
};

/// Write all users to a file that can be imported again
///
/// The file has a line for each user, with the username, the hash of the password, scopes, status and times. It appears
/// when it is whole, in the place of an older one, and only you may read it. Keep it as you would keep the table: who has
/// a hash can try passwords on it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    /// Where to write to; `-` for standard output
    file: PathBuf,
    /// The form of the lines, if the file's name doesn't end in .jsonl, .ndjson or .csv
    #[arg(long)]
    format: Option<Format>,
}

const EXAMPLES: &str = "\
Examples:
  admin --table TABLE_NAME user export users.jsonl
  admin --table TABLE_NAME user export - --format csv | gzip > users.csv.gz

From one stack to another:
  admin --table ONE user export - --format jsonl | admin --table OTHER user import - --format jsonl";

/// # Errors
/// The table can't be read, the file can't be written, or some rows can't be read and are left out.
pub(crate) async fn run(arguments: Export, store: &Store) -> Result<(), BoxError> {
    let format = Format::of(arguments.format, &arguments.file)?;
    let counts = if arguments.file == Path::new("-") {
        write(store, BufWriter::new(io::stdout()), format).await?.1
    } else {
        let part = part_of(&arguments.file);
        let cannot = |error: io::Error| format!("{} can't be written: {error}", part.display());
        let (file, counts) = write(store, BufWriter::new(create(&part).map_err(cannot)?), format).await?;
        file.into_inner()?.sync_all()?;
        fs::rename(&part, &arguments.file)?;
        counts
    };
    remark(format_args!("users written: {}", counts.written));
    match counts.unreadable {
        0 => Ok(()),
        rows => Err(format!("rows that could not be read, and are left out: {rows}").into()),
    }
}

struct Counts {
    written: u64,
    unreadable: u64,
}

async fn write<W: Write>(store: &Store, output: W, format: Format) -> Result<(W, Counts), BoxError> {
    let mut writer = Writer::new(output, format)?;
    let mut counts = Counts { written: 0, unreadable: 0 };
    let progress = Progress::new(None, "users");
    let mut pages = store.all_users();
    while let Some(page) = pages.next().await? {
        for user in page {
            match user {
                Ok(user) => {
                    writer.write(&user)?;
                    counts.written += 1;
                }
                Err(unreadable) => {
                    progress.remark(format_args!("left out: {unreadable}"));
                    counts.unreadable += 1;
                }
            }
        }
        progress.show(counts.written, counts.written, "users");
    }
    Ok((writer.finish()?, counts))
}

/// Where the file is until it is whole: beside its place, so that it can be moved there at one stroke.
fn part_of(file: &Path) -> PathBuf {
    let mut part = OsString::from(file);
    part.push(".part");
    part.into()
}

/// Makes a file that only its owner may read, in the place of what an interrupted export left behind.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
