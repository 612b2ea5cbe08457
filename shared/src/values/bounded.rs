//! Whole numbers with bounds, as settings have them.

use std::{fmt, str::FromStr};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded<const MIN: u64, const MAX: u64>(u64);

/// The text is not a whole number within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OutOfBounds<const MIN: u64, const MAX: u64>;

impl<const MIN: u64, const MAX: u64> Bounded<MIN, MAX> {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for OutOfBounds<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be a whole number from {MIN} to {MAX}")
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Bounded<MIN, MAX> {
    type Err = OutOfBounds<MIN, MAX>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().filter(|number| (MIN..=MAX).contains(number)).map(Self).ok_or(OutOfBounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_bounds_and_names_them() {
        for (text, number) in [("1", 1), ("20", 20)] {
            assert_eq!(text.parse::<Bounded<1, 20>>().map(Bounded::get), Ok(number));
        }
        for text in ["", "0", "21", "-1", "1.5", "x", "99999999999999999999"] {
            let message = text.parse::<Bounded<1, 20>>().unwrap_err().to_string();
            assert_eq!(message, "must be a whole number from 1 to 20");
        }
    }
}
