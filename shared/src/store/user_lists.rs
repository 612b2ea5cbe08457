//! Lists of accounts: for those who administer them in order, page by page and without hashes, and for the operator
//! whole.

use serde::Deserialize;

use super::{
    Store, StoreError, UnreadableRow,
    credentials::{self, credential_key},
    requests::MOST_KEYS,
    rows::{self, Item, text},
    unavailable,
    users::{USERS, UserRow, read_summary, user_key},
};
use crate::values::{
    user::{User, UserSummary},
    username::Username,
};

/// Some accounts, and where to go on.
#[derive(Debug)]
pub struct UsersPage {
    /// The accounts, ordered by their names in lower case. A row that can't be read stands there as its error.
    pub users: Vec<Result<UserSummary, UnreadableRow>>,
    /// The account after which the next page begins; `None` on the last page.
    pub next: Option<Username>,
}

impl Store {
    /// Up to `size` accounts whose names begin with `prefix`, in whatever case, those that come after `after`, which has
    /// to begin so too. An account that was made or deleted less than a moment ago, commonly under a second, may be
    /// missing or still there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the index can't be read, or the place to go on can't be named.
    pub async fn users_page(
        &self,
        prefix: &str,
        after: Option<&Username>,
        size: usize,
    ) -> Result<UsersPage, StoreError> {
        // One more than asked for tells whether there is another page.
        let mut items = self.listed(prefix, after, size.saturating_add(1)).await?;
        let is_last = items.len() <= size;
        items.truncate(size);
        let next = if is_last { None } else { Some(items.last().and_then(name_in_key).ok_or_else(no_user)?) };
        Ok(UsersPage { users: items.into_iter().map(read_summary).collect(), next })
    }

    /// Up to `limit` rows of the index.
    async fn listed(&self, prefix: &str, after: Option<&Username>, limit: usize) -> Result<Vec<Item>, StoreError> {
        let mut start = after.map(index_key);
        let mut items: Vec<Item> = Vec::new();
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(USERS)
                .key_condition_expression("listed = :users AND begins_with(pk, :prefix)")
                .expression_attribute_values(":users", text(USERS))
                .expression_attribute_values(":prefix", text(&format!("USER#{}", prefix.to_ascii_lowercase())))
                .limit(i32::try_from(limit - items.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(unavailable)?;
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// All accounts with their hashes, in no order, page by page. An account that is added or changed meanwhile may be
    /// left out, or be as it was before.
    #[must_use]
    pub fn all_users(&self) -> UserPages {
        UserPages { store: self.clone(), after: None, ended: false }
    }
}

/// The accounts of the table, page by page.
pub struct UserPages {
    store: Store,
    /// The key after which the next page begins, if it isn't the first one.
    after: Option<Item>,
    ended: bool,
}

impl UserPages {
    /// The next page, which may be empty; `None` after the last. A row that can't be read stands there as its error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the table can't be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Result<User, UnreadableRow>>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page = self
            .store
            .client
            .scan()
            .table_name(&self.store.table)
            .consistent_read(true)
            .filter_expression("listed = :users")
            .expression_attribute_values(":users", text(USERS))
            .set_exclusive_start_key(self.after.take())
            .send()
            .await
            .map_err(unavailable)?;
        self.after = page.last_evaluated_key;
        self.ended = self.after.is_none();
        let mut users = Vec::new();
        for rows in page.items.unwrap_or_default().chunks(MOST_KEYS) {
            users.extend(self.with_hashes(rows).await?);
        }
        Ok(Some(users))
    }

    /// Reads the hashes of these accounts.
    async fn with_hashes(&self, rows: &[Item]) -> Result<Vec<Result<User, UnreadableRow>>, StoreError> {
        let read: Vec<_> = rows.iter().map(|row| rows::read(row.clone(), UserRow::deserialize)).collect();
        let names = read.iter().flatten().map(UserRow::username);
        let keys: Vec<_> = names.map(|name| (self.store.table.as_str(), credential_key(name))).collect();
        // One for each row that could be read.
        let mut hashes = self.store.get_all(&keys).await?.into_iter();
        Ok(read.into_iter().map(|user| credentials::join(user?, hashes.next().flatten())).collect())
    }
}

fn no_user() -> StoreError {
    StoreError::Unavailable("a user's key names no user".into())
}

/// The name in the key of a user's row, in lower case.
fn name_in_key(item: &Item) -> Option<Username> {
    Username::parse(item.get("pk")?.as_s().ok()?.strip_prefix("USER#")?).ok()
}

/// The key of an account's row in the index.
fn index_key(username: &Username) -> Item {
    let mut key = user_key(username);
    key.insert("listed".to_owned(), text(USERS));
    key
}
