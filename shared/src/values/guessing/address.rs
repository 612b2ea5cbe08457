//! Where guesses come from.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Where a guess comes from, as far as guesses are counted together: an IPv4 address, or the /64 of an IPv6 address,
/// since whoever has one address of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    V4(Ipv4Addr),
    /// The first address of the /64.
    V6(Ipv6Addr),
    /// Every text that is not an address: one count for all of them is better than none.
    Unreadable,
}

impl Address {
    /// What to count a client's address under; an IPv4 address in IPv6 (`::ffff:192.0.2.1`) is itself.
    #[must_use]
    pub fn of(client: Option<&str>) -> Self {
        let address = client.and_then(|text| text.parse::<IpAddr>().ok());
        Self(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Kind::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Kind::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            None => Kind::Unreadable,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::V4(address) => write!(f, "{address}"),
            Kind::V6(network) => write!(f, "{network}/64"),
            Kind::Unreadable => f.write_str("unreadable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_count_whole_in_ipv4_and_by_64_bits_in_ipv6() {
        for (text, key) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
        ] {
            assert_eq!(Address::of(Some(text)).to_string(), key, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_shares_one_count() {
        for text in [None, Some(""), Some("192.0.2.1, 192.0.2.2"), Some("192.0.2.1:80"), Some("fe80::1%eth0")] {
            assert_eq!(Address::of(text).to_string(), "unreadable", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_counted_somewhere(text in ".*") {
            prop_assert!(!Address::of(Some(&text)).to_string().is_empty());
        }

        #[test]
        fn all_of_a_64_is_one_address_and_the_next_another(network: u64, one: u64, other: u64) {
            let address = |network: u64, host: u64| {
                let bits = (u128::from(network) << 64) | u128::from(host);
                Address::of(Some(&Ipv6Addr::from_bits(bits).to_string()))
            };
            // `::ffff:0:0/96` is IPv4.
            prop_assume!(network != 0 && network != u64::MAX);
            prop_assert_eq!(address(network, one), address(network, other));
            prop_assert_ne!(address(network, one), address(network + 1, one));
        }
    }
}
