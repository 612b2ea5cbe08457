//! How many failures an address has in a half-hour, whatever the accounts: the bound on one password that is tried on
//! many accounts, and on lists of names with their passwords.

use std::{fmt, net::Ipv6Addr};

use super::address::{Address, Kind};
use crate::values::bounded::Bounded;

/// How many failures an address may have in one [`Window`](super::Window), over all accounts.
pub type FailuresPerAddress = Bounded<10, 1_000_000>;

/// The addresses of one /48 may have so many times the failures of one address: it is a site's, of many networks.
const SITE_SHARE: u64 = 4;

/// What failures are counted by: one address, or all addresses of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An IPv4 address, or the /64 of an IPv6 address.
    Address(Address),
    /// A /48, by its first address: what providers give a site, so that who has one has 65,536 times a /64.
    Site(Ipv6Addr),
}

impl Network {
    /// The networks whose failures those from this address are: one in IPv4, two in IPv6.
    pub fn of(address: Address) -> impl Iterator<Item = Self> {
        let site = match address.0 {
            Kind::V6(network) => {
                let [a, b, c, ..] = network.segments();
                Some(Self::Site(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
            }
            Kind::V4(_) | Kind::Unreadable => None,
        };
        std::iter::once(Self::Address(address)).chain(site)
    }

    /// How many failures the network may have in a window.
    #[must_use]
    pub fn budget(self, per_address: FailuresPerAddress) -> u64 {
        match self {
            Self::Address(_) => per_address.get(),
            Self::Site(_) => per_address.get() * SITE_SHARE,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Site(network) => write!(f, "{network}/48"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn networks(address: &str) -> Vec<String> {
        Network::of(Address::of(Some(address))).map(|network| network.to_string()).collect()
    }

    #[test]
    fn failures_count_by_64_and_48_bits_in_ipv6() {
        assert_eq!(networks("192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(networks("::ffff:192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(networks("2001:db8:1:2:3:4:5:6"), ["2001:db8:1:2::/64", "2001:db8:1::/48"]);
        // The same first address, and not the same network.
        assert_eq!(networks("2001:db8:1::1"), ["2001:db8:1::/64", "2001:db8:1::/48"]);
        assert_eq!(networks("no address"), ["unreadable"]);
    }

    #[test]
    fn a_site_may_fail_four_times_as_often_as_an_address() {
        let budgets = |address| -> Vec<u64> {
            let per_address = "100".parse().unwrap();
            Network::of(Address::of(Some(address))).map(|network| network.budget(per_address)).collect()
        };
        assert_eq!(budgets("192.0.2.1"), [100]);
        assert_eq!(budgets("2001:db8::1"), [100, 400]);
        assert_eq!(budgets("no address"), [100]);
    }

    proptest! {
        #[test]
        fn all_of_a_48_is_one_site(site: u64, one: u128, other: u128) {
            let site_of = |host: u128| {
                let bits = (u128::from(site) << 80) | (host >> 48);
                networks(&Ipv6Addr::from_bits(bits).to_string()).pop().unwrap()
            };
            // `::ffff:0:0/96` is IPv4.
            prop_assume!(site << 16 != 0);
            prop_assert_eq!(site_of(one), site_of(other));
        }
    }
}
