//! What the targets share: the forger of the attack suite, and the good tokens of the corpus.

#[path = "../../tests/attacks/forge.rs"]
pub mod forge;
pub mod model;

/// Tokens that our keys have signed, one for each algorithm. A fuzzer that has no key can make no others.
pub const GOOD: [&str; 4] = [
    include_str!("../corpus/token/good_es256"),
    include_str!("../corpus/token/good_eddsa"),
    include_str!("../corpus/token/good_rs256"),
    include_str!("../corpus/token/good_hs256"),
];
