//! Where randomness comes from.

use rand::{rand_core::UnwrapErr, rngs::SysRng};

/// The system's random source. Without it nothing secret can be made, so that its failure is a panic, which the Lambda
/// runtime turns into an error answer.
pub type SystemRandom = UnwrapErr<SysRng>;

/// The system's random source.
#[must_use]
pub fn system() -> SystemRandom {
    UnwrapErr(SysRng)
}
