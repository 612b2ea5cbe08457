//! `admin user import`: the accounts of a file, added to the table.
//!
//! The table itself remembers how far an import has come: each line is one conditional write, alone or in a transaction
//! with others, and a line whose account is there already is told from one that another account stands in the way of. So
//! an import can be stopped at any time and be run again, and nothing beside the table has to be kept.

mod batch;

use std::{
    collections::HashSet,
    fs::File,
    future::ready,
    io::{self, BufRead, BufReader},
    mem,
    path::{Path, PathBuf},
    pin::pin,
    thread,
};

use clap::Args;
use shared::{
    BoxError, causes,
    password::Cost,
    store::{ACCOUNTS_AT_ONCE, Store, StoreError},
    time::Clock,
    username::Username,
};
use tokio::{signal::ctrl_c, sync::mpsc, task::JoinSet};

use self::batch::{Outcome, ProcessedLine, ReadLine};
use crate::{
    lines::{Account, Format, Line, Lines},
    terminal::{Progress, say},
};

/// How many batches of up to [`ACCOUNTS_AT_ONCE`] lines are on their way to the table at once.
const IN_FLIGHT: usize = 4;

/// How many lines are read ahead.
const READ_AHEAD: usize = 256;

/// Add the users of a file, with the hashes of their passwords
///
/// Each line stands for itself: it is added, or is there already (a user of that name with the same hash and scopes), or is
/// refused, with its number and the reason on standard error. A user of that name with another hash or other scopes stays as
/// it was. So an import that was interrupted is continued by running it again.
///
/// Hashes are bcrypt ($2a$, $2b$ or $2y$, also behind Django's `bcrypt$` or Spring's `{bcrypt}`), Django's `bcrypt_sha256$`,
/// or passlib's bcrypt-sha256 of either version, at a cost from 4 to 16. They are renewed when their users sign in, but for
/// plain bcrypt with a password of 72 bytes or more.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// The file to read; `-` for standard input
    file: PathBuf,
    /// The form of the lines, if the file's name doesn't end in .jsonl, .ndjson, .csv or .htpasswd
    #[arg(long)]
    format: Option<Format>,
    /// Say what would happen, and write nothing. Lines of the file are compared with the table, not with each other
    #[arg(long)]
    dry_run: bool,
    /// The stack's `BcryptCost`: the import warns of hashes that cost more, because until their users sign in, the time
    /// of a refusal tells that the account exists
    #[arg(long, value_name = "COST", default_value = "12")]
    bcrypt_cost: Cost,
}

const EXAMPLES: &str = r#"The files:
  users.jsonl   {"username":"alice","hash":"$2b$12$…","scopes":["read","write"]}
  users.csv     username,hash,scopes
                alice,$2b$12$…,read write
  .htpasswd     alice:$2y$12$…

JSON and CSV may also say the status (active or disabled), and created_at and updated_at in seconds since 1970, as an export
does. What is left out is: no scopes, active, now.

Examples:
  admin --table TABLE_NAME user import users.csv --dry-run
  admin --table TABLE_NAME user import users.csv 2> refused.txt
  zcat users.jsonl.gz | admin --table TABLE_NAME user import - --format jsonl"#;

/// # Errors
/// The file can't be read, the table can't be reached, or lines were refused.
pub(crate) async fn run(arguments: Import, store: &Store, clock: Clock) -> Result<(), BoxError> {
    let format = Format::of(arguments.format, &arguments.file)?;
    let (input, size) =
        open(&arguments.file).map_err(|error| format!("{} can't be read: {error}", arguments.file.display()))?;
    let lines = read_ahead(Lines::new(input, format)?);
    let mut run = Run {
        store: store.clone(),
        clock,
        dry: arguments.dry_run,
        usual_cost: arguments.bcrypt_cost,
        batch: Vec::new(),
        tasks: JoinSet::new(),
        names: HashSet::new(),
        progress: Progress::new(size, "lines"),
        tally: Tally::default(),
    };
    let ended = run.all(lines).await;
    run.report()?;
    ended?;
    match run.tally.refused {
        0 => Ok(()),
        lines => Err(format!("refused lines: {lines}").into()),
    }
}

/// The file and its size, if it has one.
fn open(file: &Path) -> io::Result<(Box<dyn BufRead + Send>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    Ok((Box::new(BufReader::new(file)), metadata.is_file().then_some(metadata.len())))
}

/// Reads on a thread of its own, some lines ahead: reading blocks, and what is written meanwhile shall not wait for it.
fn read_ahead(mut lines: Lines<Box<dyn BufRead + Send>>) -> mpsc::Receiver<io::Result<Line>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        while let Some(line) = lines.next().transpose() {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[derive(Default)]
struct Tally {
    lines: u64,
    added: u64,
    present: u64,
    refused: u64,
    /// The number of hashes that cost more than is usual; the first of them is named in the warning.
    dear: u64,
    first_dear: Option<(u64, Username, Cost)>,
}

struct Run {
    store: Store,
    clock: Clock,
    dry: bool,
    usual_cost: Cost,
    /// Lines that go to the table next.
    batch: Vec<ReadLine>,
    tasks: JoinSet<Result<Vec<ProcessedLine>, StoreError>>,
    /// The accounts of the batch and of the tasks: two lines about one account are done one after the other, so that the
    /// first wins.
    names: HashSet<String>,
    progress: Progress,
    tally: Tally,
}

impl Run {
    /// Does all lines, or as many as are possible before something goes wrong.
    async fn all(&mut self, mut lines: mpsc::Receiver<io::Result<Line>>) -> Result<(), BoxError> {
        let mut ended = self.begin_all(&mut lines).await;
        // What has begun is counted too, unless someone is in a hurry.
        while !self.tasks.is_empty() {
            let settled = tokio::select! {
                settled = self.settle() => settled,
                _ = ctrl_c() => break,
            };
            ended = ended.and(settled);
        }
        ended.map_err(|error| format!("{}; run the same command again to go on", causes(error.as_ref())).into())
    }

    async fn begin_all(&mut self, lines: &mut mpsc::Receiver<io::Result<Line>>) -> Result<(), BoxError> {
        // One listener for all lines: a new one doesn't hear what came before it.
        let mut interrupt = pin!(ctrl_c());
        loop {
            let line = tokio::select! {
                biased;
                _ = &mut interrupt => return Err("interrupted".into()),
                line = lines.recv() => line,
                // The next line may be long in coming, from a pipe.
                () = ready(()), if !self.batch.is_empty() => {
                    self.send().await?;
                    continue;
                }
            };
            match line {
                Some(Ok(line)) => self.begin(line).await?,
                Some(Err(error)) => {
                    self.send().await?;
                    return Err(error.into());
                }
                None => return self.send().await,
            }
        }
    }

    /// Takes a line into the batch, and sends that on its way where it is full.
    async fn begin(&mut self, line: Line) -> Result<(), BoxError> {
        self.tally.lines += 1;
        self.progress.show(line.end, self.tally.lines, "lines");
        let account = match line.account {
            Ok(account) => account,
            Err(refusal) => {
                self.refuse(line.number, refusal.username.as_ref(), &refusal.reason);
                return Ok(());
            }
        };
        self.note_cost(line.number, &account);
        let name = account.username.folded();
        while self.names.contains(&name) {
            self.send().await?;
            self.settle().await?;
        }
        self.names.insert(name);
        self.batch.push(ReadLine { number: line.number, account });
        if self.batch.len() < ACCOUNTS_AT_ONCE { Ok(()) } else { self.send().await }
    }

    /// Sends the batch on its way, as soon as there is room for it.
    async fn send(&mut self) -> Result<(), BoxError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        while self.tasks.len() >= IN_FLIGHT {
            self.settle().await?;
        }
        let (lines, store, clock, dry) = (mem::take(&mut self.batch), self.store.clone(), self.clock.clone(), self.dry);
        self.tasks.spawn(async move {
            if dry { batch::look_up_all(&store, lines).await } else { batch::add_all(&store, lines, &clock).await }
        });
        Ok(())
    }

    /// Waits for one of the batches that are on their way.
    async fn settle(&mut self) -> Result<(), BoxError> {
        let Some(done) = self.tasks.join_next().await else { return Ok(()) };
        let mut settled = Ok(());
        for ProcessedLine { number, username, outcome } in done?? {
            self.names.remove(&username.folded());
            match outcome {
                Ok(Outcome::Added) => self.tally.added += 1,
                Ok(Outcome::Present) => self.tally.present += 1,
                Ok(Outcome::Refused(reason)) => self.refuse(number, Some(&username), &reason),
                Err(StoreError::Unreadable(row)) => self.refuse(number, Some(&username), &row.to_string()),
                Err(unavailable) => settled = Err(unavailable.into()),
            }
        }
        settled
    }

    fn refuse(&mut self, number: u64, username: Option<&Username>, reason: &str) {
        self.tally.refused += 1;
        let whom = username.map(|name| format!(" ({name})")).unwrap_or_default();
        self.progress.remark(format_args!("refused: line {number}{whom}: {reason}"));
    }

    fn note_cost(&mut self, number: u64, account: &Account) {
        let cost = account.hash.cost();
        if cost > self.usual_cost {
            self.tally.dear += 1;
            self.tally.first_dear.get_or_insert_with(|| (number, account.username.clone(), cost));
        }
    }

    /// Says what became of the lines.
    fn report(&self) -> Result<(), BoxError> {
        self.progress.end();
        let Tally { added, present, refused, dear, .. } = self.tally;
        if let Some((number, username, cost)) = &self.tally.first_dear {
            self.progress.remark(format_args!(
                "warning: hashes that cost more than {}: {dear}, the first on line {number} ({username}, {cost}); until such a \
                 user signs in, the time of a refusal tells that the account exists",
                self.usual_cost
            ));
        }
        if self.dry {
            say(format_args!("{added} would be added, {present} there already, {refused} refused; nothing was written"))
        } else {
            say(format_args!("{added} added, {present} there already, {refused} refused"))
        }
    }
}
