//! Refresh tokens as texts, which nobody without a key can make, and our own with something changed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use shared::{
    key::SigningKeys,
    refresh_token::{self, RefreshToken},
    session::SessionId,
    username::Username,
};

static RING: LazyLock<SigningKeys> =
    LazyLock::new(|| SigningKeys::parse(include_str!("../../tests/vectors/ring.json")).unwrap());
const GOOD: [&str; 2] =
    [include_str!("../corpus/refresh_token/good_0"), include_str!("../corpus/refresh_token/good_1")];

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(refresh_token::verify(text, &RING).is_ok(), GOOD.contains(&text));
    }
    issued(data);
});

/// What is issued comes back as it was, leads to the next, and survives no change.
fn issued(data: &[u8]) {
    let Some((head, name)) = data.split_at_checked(28) else { return };
    let Some(username) = std::str::from_utf8(name).ok().and_then(|name| Username::parse(name).ok()) else { return };
    let session = SessionId::parse(&fuzz::forge::encode(&head[..16])).unwrap();
    let counter = u64::from_be_bytes(head[16..24].try_into().unwrap());
    let key = RING.refresh_keys().nth(usize::from(head[24]) % 4).unwrap();
    let token = RefreshToken::issue(&username, &session, counter, key);
    let presented = refresh_token::verify(token.expose(), &RING).unwrap();
    assert_eq!(presented.username.as_str(), username.as_str());
    assert_eq!((&presented.session, presented.counter), (&session, counter));
    match presented.successor() {
        Some(next) => assert_eq!(refresh_token::verify(next.expose(), &RING).unwrap().counter, counter + 1),
        None => assert_eq!(counter, u64::MAX),
    }

    let mut changed = token.expose().as_bytes().to_vec();
    let at = usize::from(head[25]) % changed.len();
    match head[26] % 3 {
        0 => changed[at] = head[27],
        1 => changed.insert(at, head[27]),
        _ => drop(changed.remove(at)),
    }
    if changed != token.expose().as_bytes()
        && let Ok(text) = std::str::from_utf8(&changed)
    {
        assert!(refresh_token::verify(text, &RING).is_err(), "{text}");
    }
}
