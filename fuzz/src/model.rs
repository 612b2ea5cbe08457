//! The verifier's rules a second time, written for being read and not for speed: what it takes, and nothing else.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use shared::key::Algorithm;

use crate::forge::{AUDIENCE, ISSUER, NOW, decode};

/// The members of an object in their order, each as often as it stands there.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What a member is: not there, there once, or more often.
enum Member<'a> {
    Absent,
    Once(&'a RawValue),
    Several,
}

impl Members {
    fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()
    }

    fn get(&self, name: &str) -> Member<'_> {
        let mut found = self.0.iter().filter(|(member, _)| member == name).map(|(_, value)| &**value);
        match (found.next(), found.next()) {
            (None, _) => Member::Absent,
            (Some(value), None) => Member::Once(value),
            _ => Member::Several,
        }
    }

    /// The text of a member that has to be there once.
    fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Member::Once(value) => serde_json::from_str(value.get()).ok(),
            Member::Absent | Member::Several => None,
        }
    }

    /// A whole number of seconds that has to be there once.
    fn seconds(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Member::Once(value) => value
                .get()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())
                .and_then(|()| value.get().parse().ok()),
            Member::Absent | Member::Several => None,
        }
    }

    /// Whether the time is not ahead, or not said.
    fn is_past(&self, name: &str) -> bool {
        match self.get(name) {
            Member::Absent => true,
            Member::Once(_) => self.seconds(name).is_some_and(|seconds| seconds <= NOW.0 + 5),
            Member::Several => false,
        }
    }
}

/// Whether a token with this header and these claims, signed by the key, is one that we take.
#[must_use]
pub fn takes(header: &[u8], claims: &[u8], algorithm: Algorithm, kid: &str) -> bool {
    let Some(header) = Members::read(header) else { return false };
    let header_is_good = header.text("alg").is_some_and(|alg| alg == algorithm.name())
        && header.text("kid").is_some_and(|id| id == kid)
        && header.text("typ").is_some_and(|typ| typ == "at+jwt" || typ == "application/at+jwt")
        && matches!(header.get("crit"), Member::Absent);
    let Some(claims) = Members::read(claims) else { return false };
    header_is_good
        && claims.text("iss").is_some_and(|iss| iss == ISSUER)
        && claims.text("aud").is_some_and(|aud| aud == AUDIENCE)
        && claims.seconds("exp").is_some_and(|exp| exp > NOW.0)
        && claims.is_past("nbf")
        && claims.is_past("iat")
        && claims.text("sub").is_some_and(|sub| is_username(&sub))
        && claims.text("sid").is_some_and(|sid| is_session(&sid))
        && match claims.get("scope") {
            Member::Absent => true,
            _ => claims.text("scope").is_some_and(|scope| is_scope(&scope)),
        }
}

fn is_username(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|char| char.is_ascii_alphanumeric() || "._@+-".contains(char))
}

/// 22 characters of base64url, of which the last has four bits to spare.
fn is_session(text: &str) -> bool {
    text.len() == 22
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && text.ends_with(['A', 'Q', 'g', 'w'])
        && decode(text).len() == 16
}

fn is_scope(text: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty() && token.chars().all(|char| char.is_ascii_graphic() && char != '"' && char != '\\')
    };
    let mut tokens: Vec<&str> = text.split(' ').collect();
    if text.is_empty() {
        return true;
    }
    let all = tokens.iter().all(|token| is_token(token));
    tokens.sort_unstable();
    tokens.dedup();
    all && tokens.join(" ").len() <= 1024
}
