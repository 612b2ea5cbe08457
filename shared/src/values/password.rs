//! Passwords and their hashes.
//!
//! New hashes are passlib's `bcrypt-sha256`, version 2: bcrypt over the base64 of an HMAC-SHA-256 of
//! the password, keyed with the salt's text. Nothing is cut at 72 bytes and no NUL byte ends a
//! password early. Plain bcrypt hashes of other systems verify too, and are meant to be replaced at
//! the next sign-in ([`PasswordHash::needs_rehash`]).

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::{
    Engine,
    alphabet::BCRYPT,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::values::username::Username;

const SALT_BYTES: usize = 16;
const SALT_CHARACTERS: usize = 22;
const DIGEST_BYTES: usize = 23;
const DIGEST_CHARACTERS: usize = 31;

/// The bytes of a password that bcrypt looks at; it ignores the rest.
const BCRYPT_BYTES: usize = 72;

/// bcrypt's own base64. Some implementations leave the unused low bits of the last character set.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// A password as received: any Unicode, neither trimmed nor normalised.
///
/// It can be neither printed nor got back out, and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// The password is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct EmptyPassword;

impl Password {
    /// Takes the text as a password.
    ///
    /// The text has no upper bound here, because passwords of other systems come with their hashes;
    /// whoever reads a request bounds its size, and hashing takes the same time for any length.
    ///
    /// # Errors
    /// [`EmptyPassword`] for the empty text.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, EmptyPassword> {
        let text = text.into();
        if text.is_empty() { Err(EmptyPassword) } else { Ok(Self(text)) }
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password that an account may be given: 8 to 128 characters of any Unicode, other than the username and the most
/// common passwords.
///
/// There are no rules of composition (NIST SP 800-63B section 3.1.1.2).
#[derive(Debug)]
pub struct NewPassword(Password);

/// The text isn't fit to be a new password; the message names the rule, to be read after the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UnfitPassword {
    #[error("must have at least 8 characters")]
    TooShort,
    #[error("must have at most 128 characters")]
    TooLong,
    #[error("must not be the username")]
    Username,
    #[error("must not be one of the most common passwords")]
    Common,
}

/// The most common passwords of at least 8 characters, in lower case, one a line, the most common first: 8,354 of a list
/// of the 20,000 most common (19,640 once they are in lower case). The others on it are too short anyway.
///
/// The list is Royce Williams's, as Django 5.2.19 ships it (`django/contrib/auth/common-passwords.txt.gz`, licence
/// BSD-3-Clause, see `common_passwords.license.txt`).
const COMMON: &str = include_str!("common_passwords.txt");

/// Whether this is a common password, in whatever case: who guesses tries `Password1` as early as `password1`.
fn is_common(text: &str) -> bool {
    let folded = Zeroizing::new(text.to_lowercase());
    COMMON.lines().any(|common| common == folded.as_str())
}

impl NewPassword {
    /// Takes the text as the new password of this user.
    ///
    /// # Errors
    /// [`UnfitPassword`] names the rule that it breaks.
    pub fn new(text: impl Into<Zeroizing<String>>, username: &Username) -> Result<Self, UnfitPassword> {
        let text = text.into();
        match text.chars().take(129).count() {
            0..8 => Err(UnfitPassword::TooShort),
            8..=128 if text.eq_ignore_ascii_case(username.as_str()) => Err(UnfitPassword::Username),
            8..=128 if is_common(&text) => Err(UnfitPassword::Common),
            8..=128 => Ok(Self(Password(text))),
            _ => Err(UnfitPassword::TooLong),
        }
    }
}

/// bcrypt's cost: the binary logarithm of the number of its rounds, 4 to 16.
///
/// bcrypt itself goes up to 31, but a step doubles the time: 16 takes about four seconds of one vCPU,
/// and a hash that outlasts the function's timeout could never be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u8);

/// The number is not a cost.
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

/// The form in which the password goes into bcrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As it is, cut at 72 bytes.
    Bcrypt,
    /// passlib's `bcrypt-sha256`, version 2.
    BcryptSha256,
}

/// The hash of a password, in one of these forms:
///
/// - `$bcrypt-sha256$v=2,t=2b,r=<cost>$<salt>$<digest>` (passlib), the form of new ones
/// - `$2a$`, `$2b$` or `$2y$`, `<cost>$<salt><digest>` (passlib, htpasswd)
/// - the latter behind `bcrypt$` (Django)
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    scheme: Scheme,
    cost: Cost,
    salt: [u8; SALT_BYTES],
    salt_text: String,
    digest: [u8; DIGEST_BYTES],
}

/// The text is not a hash that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHash {
    /// The form is not one that [`PasswordHash`] lists.
    #[error("is neither bcrypt of the versions 2a, 2b and 2y nor bcrypt-sha256 of version 2")]
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
        let (scheme, cost, salt_text, digest_text) = if let Some(rest) = text.strip_prefix("$bcrypt-sha256$v=2,t=2b,r=")
        {
            let mut fields = rest.split('$');
            let (Some(cost), Some(salt), Some(digest), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(InvalidHash::Form);
            };
            (Scheme::BcryptSha256, cost, salt, digest)
        } else {
            let plain = text.strip_prefix("bcrypt$").unwrap_or(text);
            let rest = ["$2a$", "$2b$", "$2y$"]
                .iter()
                .find_map(|prefix| plain.strip_prefix(prefix))
                .ok_or(InvalidHash::Form)?;
            let (cost, digits) = rest.split_once('$').ok_or(InvalidHash::Form)?;
            let (salt, digest) = digits.split_at_checked(SALT_CHARACTERS).ok_or(InvalidHash::Digits)?;
            (Scheme::Bcrypt, cost, salt, digest)
        };
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

    /// Whether a new hash of this cost would be of another form or cost than this one.
    #[must_use]
    pub fn needs_rehash(&self, cost: Cost) -> bool {
        self.scheme != Scheme::BcryptSha256 || self.cost != cost
    }

    /// The form in which the password goes into the hash.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The cost of verifying a password.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The hash's text, as the table keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn digest_of(&self, password: &Password) -> [u8; DIGEST_BYTES] {
        let mut block = Zeroizing::new([0; BCRYPT_BYTES]);
        let hashed;
        let input: &[u8] = match self.scheme {
            Scheme::Bcrypt => password.bytes(),
            Scheme::BcryptSha256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.salt_text.as_bytes());
                hashed = Zeroizing::new(STANDARD.encode(hmac::sign(&key, password.bytes())));
                hashed.as_bytes()
            }
        };
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
        })
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?}, {:?})", self.scheme, self.cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{rand_core::UnwrapErr, rngs::SysRng};

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    fn cost(cost: u8) -> Cost {
        Cost::new(cost).unwrap()
    }

    fn hash(text: &str) -> PasswordHash {
        PasswordHash::renew(&password(text), cost(4), &mut UnwrapErr(SysRng))
    }

    #[test]
    fn verifies_hashes_of_other_systems() {
        for (text, hash) in [
            // Openwall's crypt_blowfish, wrapper.c (values only).
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
            // passlib 1.7.4: bcrypt.using(rounds=4, ident="2y").hash("test"), and "x" * 80 with "2b".
            ("test", "$2y$04$wR0kiXd02dMJdvAZ2PXuauUY5hsR1E1VMbQoe7Bvi/ZojiEYyB9Bm"),
            (&"x".repeat(80), "$2b$04$DFpog9GK2Tmis56sfmTXW.JwJly.lpWePc/MmTrjaESLoT8NMsfCG"),
        ] {
            for text_of_hash in [hash.to_owned(), format!("bcrypt${hash}")] {
                let parsed = PasswordHash::parse(&text_of_hash).unwrap();
                assert_eq!(parsed.as_str(), text_of_hash);
                assert!(parsed.verify(&password(text)), "{hash}");
                assert!(!parsed.verify(&password("wrong")));
                assert!(parsed.needs_rehash(cost(4)) && parsed.needs_rehash(cost(5)));
            }
        }
    }

    #[test]
    fn verifies_bcrypt_sha256_of_passlib() {
        // passlib 1.7.4: bcrypt_sha256.using(rounds=4).hash(…)
        for (text, hash) in [
            ("correct horse", "$bcrypt-sha256$v=2,t=2b,r=4$4sFnYUDLEs4NI6eyU2.Uye$p6WmoK8oZ15Wb.Iwnfu4G8p0eqrt0zS"),
            (
                &"pässwörd\u{1F511} ".repeat(9),
                "$bcrypt-sha256$v=2,t=2b,r=4$5k/mlqbSIX0RSXfk8wAGiO$oaRrfonGb8lFiNrMYggwg2p.qmZ5muW",
            ),
        ] {
            let hash = PasswordHash::parse(hash).unwrap();
            assert!(hash.verify(&password(text)));
            assert!(!hash.verify(&password("wrong")));
            assert!(!hash.needs_rehash(cost(4)));
        }
    }

    #[test]
    fn a_new_hash_has_passlibs_form() {
        let hash = hash("secret");
        assert!(hash.as_str().starts_with("$bcrypt-sha256$v=2,t=2b,r=4$"), "{}", hash.as_str());
        assert_eq!(hash.as_str().len(), "$bcrypt-sha256$v=2,t=2b,r=4$".len() + 22 + 1 + 31);
        let read = PasswordHash::parse(hash.as_str()).unwrap();
        assert!(read.verify(&password("secret")));
        assert!(!read.needs_rehash(cost(4)));
        assert!(read.needs_rehash(cost(5)));
    }

    #[test]
    fn nothing_is_cut_and_no_nul_ends_a_password() {
        let long = "x".repeat(72);
        assert!(!hash(&format!("{long}a")).verify(&password(&format!("{long}b"))));
        assert!(!hash("a\0b").verify(&password("a\0c")));
        assert!(!hash("a").verify(&password("a\0a")));
    }

    #[test]
    fn a_plain_hash_takes_no_nul() {
        // bcrypt of `a`: the repeated key of `a\0a` is the same.
        let parts = |text: &str| {
            let mut plain = PasswordHash::decoy(cost(4), &mut UnwrapErr(SysRng));
            plain.scheme = Scheme::Bcrypt;
            plain.digest = plain.digest_of(&password(text));
            plain
        };
        let plain = parts("a");
        assert!(plain.verify(&password("a")));
        assert_eq!(plain.digest_of(&password("a\0a")), plain.digest);
        assert!(!plain.verify(&password("a\0a")));
    }

    #[test]
    fn a_refusal_by_a_cheaper_hash_takes_the_work_of_the_whole_cost() {
        let work = |cost: Cost| 1_u64 << cost.0;
        for spent in 4..=16 {
            for whole in spent..=16 {
                let made_up: u64 = missing_costs(cost(spent), cost(whole)).map(work).sum();
                assert_eq!(work(cost(spent)) + made_up, work(cost(whole)));
            }
        }
        assert_eq!(missing_costs(cost(13), cost(12)).count(), 0);
    }

    #[test]
    fn no_password_fits_a_decoy() {
        let decoy = PasswordHash::decoy(cost(4), &mut UnwrapErr(SysRng));
        assert!(!decoy.verify(&password("secret")));
        assert!(!decoy.needs_rehash(cost(4)));
        PasswordHash::parse(decoy.as_str()).unwrap();
    }

    #[test]
    fn a_new_password_is_8_to_128_characters_but_not_the_username() {
        let username = Username::parse("JohnDoe.1").unwrap();
        let unfit = |text: &str| NewPassword::new(text.to_owned(), &username).err();
        for fit in ["a7!f3k9z", "ä\0🔑 5678", &"🔑".repeat(128)] {
            assert_eq!(unfit(fit), None, "{fit}");
        }
        assert_eq!(unfit(""), Some(UnfitPassword::TooShort));
        assert_eq!(unfit("🔑🔑🔑🔑🔑🔑🔑"), Some(UnfitPassword::TooShort));
        assert_eq!(unfit(&"x".repeat(129)), Some(UnfitPassword::TooLong));
        assert_eq!(unfit("johndoe.1"), Some(UnfitPassword::Username));
    }

    #[test]
    fn a_new_password_is_none_of_the_common_ones_in_whatever_case() {
        let username = Username::parse("johndoe").unwrap();
        let unfit = |text: &str| NewPassword::new(text.to_owned(), &username).err();
        // The first and the last of the list among them.
        for common in ["123456789", "12345678", "password1", "PassWord1", "friend of emily", "Fallen_Angel"] {
            assert_eq!(unfit(common), Some(UnfitPassword::Common), "{common}");
        }
        for fit in ["password1 ", "12345678\n123456789", "friend of emily!"] {
            assert_eq!(unfit(fit), None, "{fit:?}");
        }
    }

    #[test]
    fn the_common_passwords_are_whole_and_in_lower_case() {
        assert_eq!(COMMON.lines().count(), 8354);
        for common in COMMON.lines() {
            assert!((8..=128).contains(&common.chars().count()), "{common}");
            assert_eq!(common, common.to_lowercase());
        }
    }

    #[test]
    fn refuses_what_it_cannot_verify() {
        let digits = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for (text, problem) in [
            (String::new(), InvalidHash::Form),
            ("secret".to_owned(), InvalidHash::Form),
            (format!("$2x$05${digits}"), InvalidHash::Form),
            ("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA".to_owned(), InvalidHash::Form),
            (format!("$2b$17${digits}"), InvalidHash::Cost),
            (format!("$2b$03${digits}"), InvalidHash::Cost),
            (format!("$2b$x${digits}"), InvalidHash::Cost),
            (format!("$2b$05${}", &digits[1..]), InvalidHash::Digits),
            (format!("$2b$05$!{}", &digits[1..]), InvalidHash::Digits),
            ("$2b$05$ä".to_owned(), InvalidHash::Digits),
            (format!("$bcrypt-sha256$v=2,t=2b,r=5${digits}"), InvalidHash::Form),
            (format!("$bcrypt-sha256$2a,5${digits}"), InvalidHash::Form),
        ] {
            assert_eq!(PasswordHash::parse(&text).unwrap_err(), problem, "{text}");
        }
    }

    #[test]
    fn neither_password_nor_hash_can_be_printed() {
        assert_eq!(format!("{:?}", password("hunter2")), "Password(..)");
        assert_eq!(format!("{:?}", hash("hunter2")), "PasswordHash(BcryptSha256, Cost(4))");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn opens_for_its_password_and_no_other(one in any::<String>(), other in any::<String>()) {
            prop_assume!(!one.is_empty() && !other.is_empty());
            let hash = hash(&one);
            prop_assert!(hash.verify(&password(&one)));
            prop_assert_eq!(hash.verify(&password(&other)), one == other);
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = PasswordHash::parse(&text);
            let _ = PasswordHash::parse(&format!("$2b$05${text}"));
        }
    }
}
