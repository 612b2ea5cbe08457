//! Good tokens, changed in a million ways: none of them is let in, but where nothing was changed, and nothing panics.
//!
//! Half of them go to the verifier, which also gets texts from a body (`POST /revoke`), and half as requests to the
//! authorizer. A run is told by its seed: `MUTANTS_SEED` repeats one, `MUTANTS` makes it longer.

use serde_json::{Value, json};

use crate::forge::{Decision, Forger, Gate, NOW, all, bearer, claims, decode, encode, http, rest, verify, with};

/// `SplitMix64` (Steele, Lea and Flood, 2014): enough for choosing, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// What lenient readers of base64 take or leave out, and what parts texts in two.
const SPECIAL: &[u8] = b"=+/. \t\r\n\0,;~%\"";

/// The good tokens, some for each key, and what they are made of.
struct Stock {
    tokens: Vec<String>,
    strangers: Vec<Forger>,
}

impl Stock {
    fn new() -> Self {
        let kinds = [
            claims(),
            with(with(claims(), "sub", json!("admin")), "scope", json!("users:read users:write")),
            with(with(claims(), "sub", json!("x")), "exp", json!(NOW.0 + 1)),
        ];
        let tokens = all().flat_map(|forger| kinds.iter().map(|kind| forger.token_of(kind))).collect();
        Self { tokens, strangers: all().map(|forger| Forger::stranger(forger.algorithm)).collect() }
    }

    /// Changes a good token in one of many ways. The change may leave it as it was.
    fn mutant(&self, dice: &mut Dice) -> Vec<u8> {
        let token = dice.pick(&self.tokens);
        let mut bytes = token.clone().into_bytes();
        match dice.below(16) {
            0 => flip(&mut bytes, dice),
            1 => {
                let (at, byte) = (dice.below(bytes.len()), dice.byte());
                bytes[at] = byte;
            }
            2 => {
                let (at, byte) = (dice.below(bytes.len()), *dice.pick(ALPHABET));
                bytes[at] = byte;
            }
            3 => {
                let (at, byte) = (dice.below(bytes.len()), *dice.pick(SPECIAL));
                bytes[at] = byte;
            }
            4 => {
                let byte = if dice.below(2) == 0 { *dice.pick(ALPHABET) } else { *dice.pick(SPECIAL) };
                bytes.insert(dice.below(bytes.len() + 1), byte);
            }
            5 => {
                bytes.remove(dice.below(bytes.len()));
            }
            6 => {
                let (from, length) = (dice.below(bytes.len()), 1 + dice.below(32));
                let run = bytes[from..(from + length).min(bytes.len())].to_vec();
                let at = if dice.below(2) == 0 { from } else { dice.below(bytes.len()) };
                bytes.splice(at..at, run);
            }
            7 => {
                let (one, other) = (dice.below(bytes.len()), dice.below(bytes.len()));
                bytes.swap(one, other);
            }
            8 => {
                let (from, length) = (dice.below(bytes.len()), 1 + dice.below(64));
                bytes.drain(from..(from + length).min(bytes.len()));
            }
            9 => bytes = self.spliced(token, dice).into_bytes(),
            10 | 11 => bytes = decoded_and_changed(token, dice).into_bytes(),
            12 => bytes = with_other_claim(token, dice).into_bytes(),
            13 => bytes = with_other_header(token, dice).into_bytes(),
            14 => bytes = self.signed_by_a_stranger(token, dice).into_bytes(),
            _ => {
                for _ in 0..=dice.below(4) {
                    flip(&mut bytes, dice);
                }
            }
        }
        bytes
    }

    /// Parts of several good tokens, in any number and order.
    fn spliced(&self, token: &str, dice: &mut Dice) -> String {
        let other: Vec<&str> = dice.pick(&self.tokens).split('.').collect();
        let mut parts: Vec<&str> = token.split('.').collect();
        match dice.below(6) {
            0 => parts[dice.below(3)] = other[dice.below(3)],
            1 => {
                let at = dice.below(3);
                parts[at] = other[at];
            }
            2 => {
                parts.remove(dice.below(3));
            }
            3 => parts.insert(dice.below(4), other[dice.below(3)]),
            4 => {
                let (one, two) = (dice.below(3), dice.below(3));
                parts.swap(one, two);
            }
            _ => parts.extend(other),
        }
        parts.join(".")
    }

    fn signed_by_a_stranger(&self, token: &str, dice: &mut Dice) -> String {
        let stranger = dice.pick(&self.strangers);
        let (message, signature) = token.rsplit_once('.').unwrap();
        match dice.below(4) {
            0 => stranger.token(),
            // RSA is the slow one here; its signatures are made for a few.
            1 if stranger.kid != "rs" => format!("{message}.{}", encode(stranger.signature(message.as_bytes()))),
            _ => {
                let random: Vec<u8> = (0..decode(signature).len()).map(|_| dice.byte()).collect();
                format!("{message}.{}", encode(random))
            }
        }
    }
}

fn flip(bytes: &mut [u8], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    bytes[at] ^= 1 << dice.below(8);
}

/// One part's bytes changed, and encoded again.
fn decoded_and_changed(token: &str, dice: &mut Dice) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let at = dice.below(3);
    let mut bytes = decode(&parts[at]);
    match dice.below(5) {
        0 | 1 => flip(&mut bytes, dice),
        2 => {
            let (at, byte) = (dice.below(bytes.len()), dice.byte());
            bytes[at] = byte;
        }
        3 => bytes.insert(dice.below(bytes.len() + 1), dice.byte()),
        _ => {
            bytes.remove(dice.below(bytes.len()));
        }
    }
    parts[at] = encode(bytes);
    parts.join(".")
}

fn some_value(dice: &mut Dice) -> Value {
    let texts =
        ["", "admin", "johndoe", "none", "HS256", "ES256", "es", "hs", "JWT", "at+jwt", "*", "users:write", "\0"];
    match dice.below(6) {
        0 => Value::Null,
        1 => json!(dice.roll()),
        2 => json!([dice.pick(&texts)]),
        3 => json!(dice.below(2) == 0),
        _ => json!(dice.pick(&texts)),
    }
}

/// Another claim under the old signature.
fn with_other_claim(token: &str, dice: &mut Dice) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let object: Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    let names = ["iss", "sub", "aud", "exp", "nbf", "iat", "sid", "scope", "jti", "client_id", "role", "admin"];
    let changed = with(object, names[dice.below(names.len())], some_value(dice));
    format!("{}.{}.{}", parts[0], encode(changed.to_string()), parts[2])
}

/// Another header under the old signature, or under none.
fn with_other_header(token: &str, dice: &mut Dice) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let object: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    let names = ["alg", "kid", "typ", "crit", "jwk", "jku", "x5c", "zip", "b64", "cty"];
    let changed = with(object, names[dice.below(names.len())], some_value(dice));
    let signature = if dice.below(4) == 0 { "" } else { parts[2] };
    format!("{}.{}.{signature}", encode(changed.to_string()), parts[1])
}

/// How many mutants, and from where on.
fn setting(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test has no main to read the environment for it")]
    let value = std::env::var(name);
    value.map_or(default, |text| text.parse().unwrap())
}

#[test]
#[expect(clippy::print_stderr, reason = "the figure is for whoever runs it alone")]
fn no_mutant_of_a_good_token_is_let_in() {
    let (count, seed) = (setting("MUTANTS", 1_000_000), setting("MUTANTS_SEED", 20_261_124));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = count.div_ceil(u64::try_from(threads).unwrap());
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        for run in (0u64..).take(threads) {
            scope.spawn(move || hunt(share, seed + run));
        }
    });
    eprintln!("{} mutants refused in {:?}, seed {seed}", share * u64::try_from(threads).unwrap(), begin.elapsed());
}

/// Tries so many mutants.
fn hunt(count: u64, seed: u64) {
    let (stock, gate, mut dice) = (Stock::new(), Gate::ours(), Dice(seed));
    for token in &stock.tokens {
        assert!(verify(token).is_ok() && gate.decide(&rest(&bearer(token)).to_string()) == Decision::Allowed);
    }
    let mut number = 0;
    while number < count {
        let mutant = stock.mutant(&mut dice);
        // A header's value comes as text; what isn't UTF-8 is replaced on the way.
        let mutant = String::from_utf8_lossy(&mutant);
        if stock.tokens.iter().any(|token| *token == mutant) {
            continue;
        }
        let refused = match number % 4 {
            0 => gate.decide(&rest(&bearer(&mutant)).to_string()) == Decision::Refused,
            1 => gate.decide(&http(&bearer(&mutant)).to_string()) == Decision::Refused,
            _ => verify(&mutant).is_err(),
        };
        // A space in front is one more after `Bearer`, and not the token's.
        let is_spaced = number % 4 < 2 && stock.tokens.iter().any(|token| token == mutant.trim_start_matches(' '));
        assert!(refused || is_spaced, "let in: {mutant:?}, number {number} of seed {seed}");
        number += 1;
    }
}
