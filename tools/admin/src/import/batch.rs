//! Some lines of an import, which go to the table together: as a transaction where all of them can be added, and
//! otherwise line by line.

use std::time::{Duration, Instant};

use shared::{
    random,
    store::{CLAIM, Store, StoreError},
    time::Clock,
    user::User,
    username::Username,
};

use crate::{lines::Account, users::buried};

/// The outcome of a line.
pub(super) enum Outcome {
    Added,
    Present,
    Refused(String),
}

/// A line that was read.
pub(super) struct ReadLine {
    pub(super) number: u64,
    pub(super) account: Account,
}

/// A line that the table has dealt with.
pub(super) struct ProcessedLine {
    pub(super) number: u64,
    pub(super) username: Username,
    pub(super) outcome: Result<Outcome, StoreError>,
}

impl ReadLine {
    fn processed(self, outcome: Result<Outcome, StoreError>) -> ProcessedLine {
        ProcessedLine { number: self.number, username: self.account.username, outcome }
    }
}

/// Adds the accounts of some lines, no two of which are about one account.
///
/// # Errors
/// The table can't be reached. Lines may have been added by then.
pub(super) async fn add_all(
    store: &Store,
    lines: Vec<ReadLine>,
    clock: &Clock,
) -> Result<Vec<ProcessedLine>, StoreError> {
    if add_together(store, &lines, clock).await? {
        return Ok(lines.into_iter().map(|line| line.processed(Ok(Outcome::Added))).collect());
    }
    let count = lines.len();
    let (absent, mut processed): (Vec<_>, Vec<_>) =
        look_at_all(store, lines).await?.into_iter().partition(|line| matches!(line.1, Ok(Outcome::Added)));
    let (absent, _): (Vec<_>, Vec<_>) = absent.into_iter().unzip();
    // An interrupted import that goes on, for one, finds some lines there already.
    let is_worth_it = (1..count).contains(&absent.len());
    let are_added = is_worth_it && add_together(store, &absent, clock).await?;
    for line in absent {
        let outcome = if are_added { Ok(Outcome::Added) } else { add(store, &line.account, clock).await };
        processed.push((line, outcome));
    }
    Ok(processed.into_iter().map(|(line, outcome)| line.processed(outcome)).collect())
}

/// The outcomes of some lines, no two of which are about one account, as far as the table can tell without being written
/// to.
///
/// # Errors
/// The table can't be reached.
pub(super) async fn look_up_all(store: &Store, lines: Vec<ReadLine>) -> Result<Vec<ProcessedLine>, StoreError> {
    Ok(look_at_all(store, lines).await?.into_iter().map(|(line, outcome)| line.processed(outcome)).collect())
}

async fn add_together(store: &Store, lines: &[ReadLine], clock: &Clock) -> Result<bool, StoreError> {
    let now = clock.now();
    let users: Vec<_> = lines.iter().map(|line| line.account.to_user(now, &mut random::system())).collect();
    store.add_users(&users, now).await
}

/// Adds a line's account. Where an import was killed a moment ago, the name may be claimed by it still, for [`CLAIM`].
async fn add(store: &Store, line: &Account, clock: &Clock) -> Result<Outcome, StoreError> {
    let patience = Instant::now() + 2 * CLAIM;
    loop {
        let user = line.to_user(clock.now(), &mut random::system());
        if store.add_user(&user, clock.now()).await? {
            return Ok(Outcome::Added);
        }
        let found = store.find_user(&line.username).await?;
        let is_deleted = found.is_none() && store.is_deleted(&line.username).await?;
        match compare(line, found.as_ref(), is_deleted) {
            Outcome::Added if Instant::now() < patience => tokio::time::sleep(Duration::from_secs(1)).await,
            Outcome::Added => return Ok(Outcome::Refused("the name is claimed for another account".to_owned())),
            outcome => return Ok(outcome),
        }
    }
}

type LookedUp = (ReadLine, Result<Outcome, StoreError>);

async fn look_at_all(store: &Store, lines: Vec<ReadLine>) -> Result<Vec<LookedUp>, StoreError> {
    let names: Vec<_> = lines.iter().map(|line| line.account.username.clone()).collect();
    let found = store.find_users(&names).await?;
    let absent: Vec<_> =
        names.into_iter().zip(&found).filter(|(_, found)| matches!(found, Ok(None))).map(|(name, _)| name).collect();
    let deleted = if absent.is_empty() { Vec::new() } else { store.deleted_among(absent).await? };
    let outcome = |line: &Account, found: Result<Option<User>, _>| {
        Ok(compare(line, found?.as_ref(), deleted.contains(&line.username)))
    };
    Ok(lines
        .into_iter()
        .zip(found)
        .map(|(line, found)| {
            let outcome = outcome(&line.account, found);
            (line, outcome)
        })
        .collect())
}

/// The outcome of a line, by the account that has its name, if one has; the name may also be a deleted account's.
fn compare(line: &Account, there: Option<&User>, is_deleted: bool) -> Outcome {
    let Some(there) = there else {
        return if is_deleted { Outcome::Refused(buried(&line.username)) } else { Outcome::Added };
    };
    let difference = if line.hash.as_str() != there.password_hash.as_str() {
        "another hash"
    } else if line.scopes != there.scopes {
        "other scopes"
    } else if line.status.is_some_and(|status| status != there.status) {
        "another status"
    } else {
        return Outcome::Present;
    };
    Outcome::Refused(format!("there is an account of this name with {difference}, and it stays as it was"))
}
