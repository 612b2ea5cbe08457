//! Lists of accounts.

use shared::{store::Store, username::Username};

use crate::table::{MINUTE, NOW, Table, user, username};

/// The names of each page.
async fn pages(store: &Store, prefix: &str, size: usize) -> Vec<Vec<String>> {
    let (mut pages, mut after): (_, Option<Username>) = (Vec::new(), None);
    loop {
        let page = store.users_page(prefix, after.as_ref(), size).await.unwrap();
        pages.push(page.users.into_iter().map(|user| user.unwrap().username.to_string()).collect());
        after = page.next;
        if after.is_none() {
            return pages;
        }
    }
}

async fn with(names: &[&str]) -> Table {
    let table = Table::create();
    for name in names {
        assert!(table.store.add_user(&user(name), NOW).await.unwrap());
    }
    table
}

#[tokio::test]
async fn pages_are_ordered_by_name_in_lower_case_and_exact() {
    let table = with(&["carol", "Bob", "ann", "Dan", "eve"]).await;
    let all = ["ann", "Bob", "carol", "Dan", "eve"];
    for size in 1..=6 {
        let expected: Vec<Vec<String>> =
            all.chunks(size).map(|page| page.iter().map(|name| (*name).to_owned()).collect()).collect();
        assert_eq!(pages(&table.store, "", size).await, expected, "{size}");
    }
}

#[tokio::test]
async fn a_page_begins_after_a_name_that_is_gone() {
    let table = with(&["ann", "bob", "carol"]).await;
    let first = table.store.users_page("", None, 2).await.unwrap();
    assert!(table.store.remove_user(&username("bob"), NOW, MINUTE).await.unwrap());
    let second = table.store.users_page("", first.next.as_ref(), 2).await.unwrap();
    assert_eq!(second.users.len(), 1);
    assert_eq!(second.users[0].as_ref().unwrap().username, username("carol"));
    assert!(second.next.is_none());
}

#[tokio::test]
async fn a_prefix_is_of_any_case_and_of_names_only() {
    let table = with(&["ann", "Anna", "anne.b", "bob"]).await;
    for (prefix, expected) in [("AN", &["ann", "Anna", "anne.b"][..]), ("anna", &["Anna"]), ("b", &["bob"]), ("c", &[])]
    {
        assert_eq!(pages(&table.store, prefix, 2).await.concat(), expected, "{prefix}");
    }
}

#[tokio::test]
async fn no_account_at_all_is_one_empty_page() {
    assert_eq!(pages(&Table::create().store, "", 5).await, [Vec::<String>::new()]);
}

#[tokio::test]
async fn an_account_that_is_gone_is_in_no_list() {
    let table = with(&["ann", "bob"]).await;
    assert!(table.store.remove_user(&username("ann"), NOW, MINUTE).await.unwrap());
    assert_eq!(pages(&table.store, "", 5).await, [["bob"]]);
    let mut all = table.store.all_users();
    let page = all.next().await.unwrap().unwrap();
    let names: Vec<_> = page.into_iter().map(|user| user.unwrap().username.to_string()).collect();
    assert_eq!(names, ["bob"]);
}

#[tokio::test]
async fn all_accounts_come_with_their_hashes() {
    let table = Table::create();
    let mut expected = Vec::new();
    for number in 0..230 {
        let user = user(&format!("user{number:03}"));
        assert!(table.store.add_user(&user, NOW).await.unwrap());
        expected.push(user.password_hash.as_str().to_owned());
    }
    let (mut all, mut found) = (table.store.all_users(), Vec::new());
    while let Some(page) = all.next().await.unwrap() {
        found.extend(page.into_iter().map(|user| user.unwrap()));
    }
    found.sort_by_key(|user| user.username.folded());
    let hashes: Vec<_> = found.iter().map(|user| user.password_hash.as_str()).collect();
    assert_eq!(hashes, expected);
}
