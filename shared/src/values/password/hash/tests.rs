use proptest::prelude::*;
use rand::{rand_core::UnwrapErr, rngs::SysRng};

use super::*;

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
        for text_of_hash in [hash.to_owned(), format!("bcrypt${hash}"), format!("{{bcrypt}}{hash}")] {
            let parsed = PasswordHash::parse(&text_of_hash).unwrap();
            assert_eq!(parsed.as_str(), text_of_hash);
            assert!(parsed.verify(&password(text)), "{hash}");
            assert!(!parsed.verify(&password("wrong")));
            assert!(
                parsed.needs_renewal(cost(4), &password("short")) && parsed.needs_renewal(cost(5), &password("short"))
            );
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
        assert!(!hash.needs_renewal(cost(4), &password(text)));
    }
}

/// passlib 1.7.4: `bcrypt_sha256.using(version=1, ident=…, rounds=4).hash(…)`; Django 5.2.19:
/// `BCryptSHA256PasswordHasher().encode(…)`, with 4 rounds.
const OLDER_SHA256: [(&str, Scheme, &str); 9] = [
    ("correct horse", V1, "$bcrypt-sha256$2a,4$AeO4RRqLH72cAUo10zdSee$pfKl1VK22TXjTHvQfCDiZ4DqDKjCu3m"),
    (LONG, V1, "$bcrypt-sha256$2a,4$cjPZ2VinW6cVafodm3RC/O$AQCust8nUPI1mMiztcbJ.LbbCJPgqrO"),
    ("a\0b", V1, "$bcrypt-sha256$2a,4$95bs2RGyP4fEL3Qxv8Y4We$epfn4OLPxb7AFmpFd5oPzTEP0wRxGsa"),
    ("correct horse", V1, "$bcrypt-sha256$2b,4$pKX97IfH0aGtTsCict5Rnu$tLlwLOUIi6xBL3gggeGRcGDKDB1H.Aa"),
    (LONG, V1, "$bcrypt-sha256$2b,4$EJv0d6nWyJzxTxlfMwVFSO$KaA78v9X3E3.kQ2367Gq2BKxuc168rW"),
    ("a\0b", V1, "$bcrypt-sha256$2b,4$F52ZhDNatBHvZ7haQCo3pO$..1D6DKPhIlUFAWASBmXqYSne/H9q0i"),
    ("correct horse", DJANGO, "bcrypt_sha256$$2b$04$swjJBTO4y9RU3SlzRS.IWOC66fi.Vd3.i59vd5SztbccQi3sf0wdC"),
    (LONG, DJANGO, "bcrypt_sha256$$2b$04$22HwjHHVuUCw.Z26BVUTweoU/TMTj7kZgZnuxwks7MUEeFmiLCl3S"),
    ("a\0b", DJANGO, "bcrypt_sha256$$2b$04$k/wFasifLS7ADyehsaRUJOfuh3YSpa0Gq05msC6u6zvdjASvPoOFq"),
];
const V1: Scheme = Scheme::BcryptSha256V1;
const DJANGO: Scheme = Scheme::DjangoBcryptSha256;
/// 135 bytes: 9 times `pässwörd🔑 `.
const LONG: &str =
    "pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 pässwörd🔑 ";

#[test]
fn verifies_older_bcrypt_sha256_of_passlib_and_that_of_django() {
    for (text, scheme, hash) in OLDER_SHA256 {
        let parsed = PasswordHash::parse(hash).unwrap();
        assert_eq!((parsed.as_str(), parsed.scheme(), parsed.cost()), (hash, scheme, cost(4)));
        assert!(parsed.verify(&password(text)), "{hash}");
        // Neither a NUL nor the 72nd byte ends what they see, so that they are renewed from any password.
        for wrong in [format!("{text}!"), format!("{text}\0"), text[..text.len() - 1].to_owned()] {
            assert!(!parsed.verify(&password(&wrong)), "{hash} {wrong:?}");
        }
        assert!(parsed.needs_renewal(cost(4), &password(text)), "{hash}");
    }
}

#[test]
fn the_unused_bits_of_a_last_character_do_not_matter() {
    // The salt has 4 of them, the digest 2: the last character of either may be the next in the alphabet.
    for (text, _, hash) in OLDER_SHA256 {
        let digits = hash.len() - DIGEST_CHARACTERS - usize::from(hash.starts_with('$'));
        for last in [digits - 1, hash.len() - 1] {
            let mut bytes = hash.as_bytes().to_vec();
            bytes[last] += 1;
            let same = PasswordHash::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
            assert!(same.verify(&password(text)), "{hash} {last}");
        }
    }
}

#[test]
fn a_changed_character_of_an_older_hash_is_noticed() {
    for (text, _, hash) in OLDER_SHA256 {
        for at in 0..hash.len() {
            let mut bytes = hash.as_bytes().to_vec();
            // The first of the alphabet, or one that differs from it in used bits.
            bytes[at] = if bytes[at] == b'.' { b'z' } else { b'.' };
            let changed = std::str::from_utf8(&bytes).unwrap();
            assert!(!PasswordHash::parse(changed).is_ok_and(|hash| hash.verify(&password(text))), "{changed}");
        }
    }
}

#[test]
fn a_new_hash_has_passlibs_form() {
    let hash = hash("secret");
    assert!(hash.as_str().starts_with("$bcrypt-sha256$v=2,t=2b,r=4$"), "{}", hash.as_str());
    assert_eq!(hash.as_str().len(), "$bcrypt-sha256$v=2,t=2b,r=4$".len() + 22 + 1 + 31);
    let read = PasswordHash::parse(hash.as_str()).unwrap();
    assert!(read.verify(&password("secret")));
    assert!(!read.needs_renewal(cost(4), &password("secret")));
    assert!(read.needs_renewal(cost(5), &password("secret")));
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
    assert!(!decoy.needs_renewal(cost(4), &password("secret")));
    PasswordHash::parse(decoy.as_str()).unwrap();
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
        (format!("$bcrypt-sha256$2y,5${}${}", &digits[..22], &digits[22..]), InvalidHash::Form),
        (format!("$bcrypt-sha256$2b,17${}${}", &digits[..22], &digits[22..]), InvalidHash::Cost),
        (format!("$bcrypt-sha256$2b,5${}${}", &digits[..21], &digits[22..]), InvalidHash::Digits),
        (format!("$bcrypt-sha256$2b,5${}${}$", &digits[..22], &digits[22..]), InvalidHash::Form),
        (format!("bcrypt_sha256$2b$05${digits}"), InvalidHash::Form),
        (format!("bcrypt_sha256$bcrypt$$2b$05${digits}"), InvalidHash::Form),
        (format!("bcrypt_sha256$$2b$17${digits}"), InvalidHash::Cost),
        (format!("bcrypt_sha256$$2b$05${}", &digits[1..]), InvalidHash::Digits),
        (format!("{{bcrypt}}bcrypt$$2b$05${digits}"), InvalidHash::Form),
        (format!("{{BCRYPT}}$2b$05${digits}"), InvalidHash::Form),
        (format!("{{bcrypt}}$2b$03${digits}"), InvalidHash::Cost),
        (format!("{{pbkdf2}}$2b$05${digits}"), InvalidHash::Form),
    ] {
        assert_eq!(PasswordHash::parse(&text).unwrap_err(), problem, "{text}");
    }
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
        let prefixes = ["$2b$05$", "bcrypt_sha256$$2b$05$", "$bcrypt-sha256$2a,5$", "$bcrypt-sha256$v=2,t=2b,r=5$"];
        for prefix in ["{bcrypt}", "bcrypt_sha256$", "bcrypt$"].into_iter().chain(prefixes) {
            let _ = PasswordHash::parse(&format!("{prefix}{text}"));
        }
    }
}

#[test]
fn a_hash_can_not_be_printed() {
    assert_eq!(format!("{:?}", hash("hunter2")), "PasswordHash(BcryptSha256, Cost(4))");
}

#[test]
fn a_plain_hash_is_renewed_from_a_password_seen_whole() {
    // passlib 1.7.4: bcrypt.using(rounds=4, ident="2b").hash("y" * (length - 1) + "z")
    for (length, hash, renewed) in [
        (71, "$2b$04$pykal28CRmZKPzEJJzhg/ed.pD.BSXEPPY966mxO73D1DVcuzHRhW", true),
        (72, "$2b$04$jh3wVFH1GjA9Cu0D0uEJE.PUTBPlJd5nktGCfxU/jc8l.NkGwnhA6", false),
        (73, "$2b$04$MDTt//ix6yWvhFA5Qcf8LOzeLsowPd.vRBsNjEme1w8iQtkMgBmQG", false),
    ] {
        let hash = PasswordHash::parse(hash).unwrap();
        let right = "y".repeat(length - 1) + "z";
        assert!(hash.verify(&password(&right)), "{length}");
        assert_eq!(hash.needs_renewal(cost(4), &password(&right)), renewed, "{length}");
        // Whether something behind the password is seen is whether the hash knows where it ends.
        assert_eq!(!hash.verify(&password(&format!("{right}!"))), renewed, "{length}");
    }
    // A password of 36 characters, each of two bytes, fills the block.
    let plain = PasswordHash::parse("$2b$04$pykal28CRmZKPzEJJzhg/ed.pD.BSXEPPY966mxO73D1DVcuzHRhW").unwrap();
    assert!(!plain.needs_renewal(cost(4), &password(&"ä".repeat(36))));
    assert!(plain.needs_renewal(cost(4), &password(&"ä".repeat(35))));
    // Our own form sees all of it.
    assert!(hash("secret").needs_renewal(cost(5), &password(&"x".repeat(128))));
}
