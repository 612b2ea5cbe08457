//! Hashes of passwords.
//!
//! New ones are passlib's `bcrypt-sha256`, version 2: bcrypt over the base64 of an HMAC-SHA-256 of the password, keyed
//! with the salt's text. Nothing is cut at 72 bytes and no NUL byte ends a password early. Hashes of other systems verify
//! too, and are replaced at a sign-in with a password that is known to be the whole one
//! ([`PasswordHash::needs_renewal`]).

#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{NewPassword, Password};

const SALT_BYTES: usize = 16;
const SALT_CHARACTERS: usize = 22;
const DIGEST_BYTES: usize = 23;
const DIGEST_CHARACTERS: usize = 31;

/// bcrypt looks at no more of a password than this.
const BCRYPT_BYTES: usize = 72;

/// bcrypt's own base64. Some implementations leave the unused low bits of the last character set.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// bcrypt's cost: the binary logarithm of the number of its rounds, 4 to 16.
///
/// bcrypt itself goes up to 31, but a step doubles the time: 16 takes about four seconds of one vCPU,
/// and a hash that outlasts the function's timeout could never be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u8);

/// The number is no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 4 to 16")]
pub struct InvalidCost;

impl Cost {
    /// Takes the number as a cost.
    ///
    /// # Errors
    /// [`InvalidCost`] below 4 or above 16.
    pub fn new(cost: u8) -> Result<Self, InvalidCost> {
        if (4..=16).contains(&cost) { Ok(Self(cost)) } else { Err(InvalidCost) }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Cost {
    type Err = InvalidCost;

    fn from_str(text: &str) -> Result<Self, InvalidCost> {
        text.parse().map_err(|_| InvalidCost).and_then(Self::new)
    }
}

/// How the password goes into bcrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As it is, cut at 72 bytes.
    Bcrypt,
    /// passlib's `bcrypt-sha256`, version 2: the base64 of its HMAC-SHA-256 under the salt's text.
    BcryptSha256,
    /// passlib's `bcrypt-sha256`, version 1: the base64 of its SHA-256.
    BcryptSha256V1,
    /// Django's `bcrypt_sha256`: its SHA-256 in hexadecimal.
    DjangoBcryptSha256,
}

/// The hash of a password, in one of these forms:
///
/// - `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<digest>` (passlib), the form of new ones
/// - `$bcrypt-sha256$2a,<cost>$<salt>$<digest>`, or with `2b` (passlib before 1.7.3)
/// - `$2a$`, `$2b$` or `$2y$`, `<cost>$<salt><digest>` (passlib, htpasswd)
/// - the latter behind `bcrypt$` (Django's `BCryptPasswordHasher`) or `{bcrypt}` (Spring)
/// - the same behind `bcrypt_sha256$` (Django's `BCryptSHA256PasswordHasher`)
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    scheme: Scheme,
    cost: Cost,
    salt: [u8; SALT_BYTES],
    salt_text: String,
    digest: [u8; DIGEST_BYTES],
}

/// The text is no hash that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// The form is none of those that [`PasswordHash`] lists.
    #[error("is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of passlib or Django")]
    Form,
    /// The cost is out of range.
    #[error("has a cost outside 4 to 16")]
    Cost,
    /// The salt or the digest is of a wrong length or has characters outside bcrypt's base64.
    #[error("has a damaged salt or digest")]
    Digits,
}

impl PasswordHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// [`InvalidHash`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        let Parts { scheme, cost, salt: salt_text, digest: digest_text } = Parts::of(text)?;
        if salt_text.len() != SALT_CHARACTERS || digest_text.len() != DIGEST_CHARACTERS {
            return Err(InvalidHash::Digits);
        }
        let mut salt = [0; SALT_BYTES];
        let mut digest = [0; DIGEST_BYTES];
        BCRYPT_BASE64.decode_slice(salt_text, &mut salt).map_err(|_| InvalidHash::Digits)?;
        BCRYPT_BASE64.decode_slice(digest_text, &mut digest).map_err(|_| InvalidHash::Digits)?;
        Ok(Self {
            text: text.to_owned(),
            scheme,
            cost: cost.parse().map_err(|_| InvalidHash::Cost)?,
            salt,
            salt_text: salt_text.to_owned(),
            digest,
        })
    }

    /// Hashes the password that an account is given, with a new salt. Takes as long as the cost says: not for an async
    /// thread.
    #[must_use]
    pub fn new(password: &NewPassword, cost: Cost, rng: &mut impl CryptoRng) -> Self {
        Self::renew(&password.0, cost, rng)
    }

    /// Hashes a password that an account has already, whatever the rules for new ones say of it. Takes as long as the
    /// cost says: not for an async thread.
    #[must_use]
    pub fn renew(password: &Password, cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let mut hash = Self::decoy(cost, rng);
        hash.digest = hash.digest_of(password);
        hash.with_text()
    }

    /// A hash that no password fits, made without hashing: what a sign-in of an unknown user is
    /// verified against, so that it takes as long as that of a known one.
    #[must_use]
    pub fn decoy(cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; SALT_BYTES];
        let mut digest = [0; DIGEST_BYTES];
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut digest);
        let salt_text = BCRYPT_BASE64.encode(salt);
        Self { text: String::new(), scheme: Scheme::BcryptSha256, cost, salt, salt_text, digest }.with_text()
    }

    fn with_text(mut self) -> Self {
        let digest = BCRYPT_BASE64.encode(self.digest);
        self.text = format!("$bcrypt-sha256$v=2,t=2b,r={}${}${digest}", self.cost.0, self.salt_text);
        self
    }

    /// Whether this is the password's hash. Takes as long as the hash's cost says, right or wrong: not
    /// for an async thread.
    #[must_use]
    pub fn verify(&self, password: &Password) -> bool {
        let same = constant_time::verify_slices_are_equal(&self.digest_of(password), &self.digest).is_ok();
        // Plain bcrypt repeats the password and its closing NUL up to 72 bytes, so that `a` and `a\0a`
        // have one hash. No system that made such a hash took a NUL.
        let ambiguous = self.scheme == Scheme::Bcrypt && password.bytes().contains(&0);
        same && !ambiguous
    }

    /// Makes up for what a refusal by this hash took less than one by a hash of `cost`: without it, the time would tell
    /// an account with a cheaper hash from a name that nobody has. Not for an async thread.
    pub fn even_out(&self, password: &Password, cost: Cost, rng: &mut impl CryptoRng) {
        for missing in missing_costs(self.cost, cost) {
            let _ = Self::decoy(missing, rng).verify(password);
        }
    }

    /// Whether the password that has just opened this hash is to be hashed anew: where a new hash would be of another
    /// form or cost, and the password is known to be the whole one.
    ///
    /// Whoever types the right 72 bytes and anything behind them opens a plain hash: hashed anew, that typo would be
    /// the password from then on, and its owner would be locked out. 72 bytes exactly may be the beginning of a longer
    /// password. Up to 71 the closing NUL is in the hash as well, so that it fits no longer password.
    #[must_use]
    pub fn needs_renewal(&self, cost: Cost, password: &Password) -> bool {
        let is_whole = self.scheme != Scheme::Bcrypt || password.bytes().len() < BCRYPT_BYTES;
        is_whole && (self.scheme != Scheme::BcryptSha256 || self.cost != cost)
    }

    /// How the password goes into the hash.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What it costs to verify a password.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The hash's text, as the table keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What goes into bcrypt in the password's place, of a length that it sees whole, and without a NUL.
    fn hashed_before(&self, password: &Password) -> Option<Zeroizing<String>> {
        let sha256 = || digest::digest(&digest::SHA256, password.bytes());
        let text = match self.scheme {
            Scheme::Bcrypt => return None,
            Scheme::BcryptSha256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.salt_text.as_bytes());
                STANDARD.encode(hmac::sign(&key, password.bytes()))
            }
            Scheme::BcryptSha256V1 => STANDARD.encode(sha256()),
            Scheme::DjangoBcryptSha256 => hexadecimal(sha256().as_ref()),
        };
        Some(Zeroizing::new(text))
    }

    fn digest_of(&self, password: &Password) -> [u8; DIGEST_BYTES] {
        let mut block = Zeroizing::new([0; BCRYPT_BYTES]);
        let hashed = self.hashed_before(password);
        let input = hashed.as_ref().map_or(password.bytes(), |text| text.as_bytes());
        // A password ends with a NUL, unless it fills the whole block.
        let length = input.len().min(BCRYPT_BYTES);
        block[..length].copy_from_slice(&input[..length]);
        let block = &block[..BCRYPT_BYTES.min(length + 1)];

        let output = bcrypt::bcrypt(self.cost.0.into(), self.salt, block);
        let mut digest = [0; DIGEST_BYTES];
        // The last of bcrypt's 24 bytes is never part of a hash.
        digest.copy_from_slice(&output[..DIGEST_BYTES]);
        digest
    }
}

/// The parts of a hash's text.
struct Parts<'a> {
    scheme: Scheme,
    cost: &'a str,
    salt: &'a str,
    digest: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, InvalidHash> {
        let behind = |prefixes: &[&str]| prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        if let Some(rest) = behind(&["$bcrypt-sha256$v=2,t=2b,r="]) {
            Self::of_passlib(Scheme::BcryptSha256, rest)
        } else if let Some(rest) = behind(&["$bcrypt-sha256$2a,", "$bcrypt-sha256$2b,"]) {
            Self::of_passlib(Scheme::BcryptSha256V1, rest)
        } else if let Some(rest) = behind(&["bcrypt_sha256$"]) {
            Self::of_bcrypt(Scheme::DjangoBcryptSha256, rest)
        } else {
            Self::of_bcrypt(Scheme::Bcrypt, behind(&["bcrypt$", "{bcrypt}"]).unwrap_or(text))
        }
    }

    /// `<cost>$<salt>$<digest>`
    fn of_passlib(scheme: Scheme, text: &'a str) -> Result<Self, InvalidHash> {
        let mut fields = text.split('$');
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(cost), Some(salt), Some(digest), None) => Ok(Self { scheme, cost, salt, digest }),
            _ => Err(InvalidHash::Form),
        }
    }

    /// `$2b$<cost>$<salt><digest>`, and older versions.
    fn of_bcrypt(scheme: Scheme, text: &'a str) -> Result<Self, InvalidHash> {
        let versions = ["$2a$", "$2b$", "$2y$"];
        let rest = versions.iter().find_map(|version| text.strip_prefix(version)).ok_or(InvalidHash::Form)?;
        let (cost, digits) = rest.split_once('$').ok_or(InvalidHash::Form)?;
        let (salt, digest) = digits.split_at_checked(SALT_CHARACTERS).ok_or(InvalidHash::Digits)?;
        Ok(Self { scheme, cost, salt, digest })
    }
}

/// Lower case, as Django has it.
fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
}

/// The costs of the hashes that together with one of cost `spent` take as long as one of cost `whole`: a step of
/// the cost doubles the work, and 2^h + (2^h + 2^(h+1) + … + 2^(c-1)) is 2^c.
fn missing_costs(spent: Cost, whole: Cost) -> impl Iterator<Item = Cost> {
    (spent.0..whole.0).map(Cost)
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt => "bcrypt",
            Self::BcryptSha256 => "bcrypt-sha256",
            Self::BcryptSha256V1 => "bcrypt-sha256 (passlib's version 1)",
            Self::DjangoBcryptSha256 => "bcrypt_sha256 (Django)",
        })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?}, {:?})", self.scheme, self.cost)
    }
}
