//! Sets of addresses, as rules name them.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of addresses given by prefixes. An empty set holds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressSet {
    prefixes: Vec<IpNet>,
}

impl AddressSet {
    /// Whether `address` lies in one of the prefixes.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.prefixes.iter().any(|net| net.contains(&address))
    }

    /// The prefixes, merged and in order.
    #[must_use]
    pub fn prefixes(&self) -> &[IpNet] {
        &self.prefixes
    }
}

impl FromIterator<IpNet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(prefixes: I) -> Self {
        let all: Vec<IpNet> = prefixes.into_iter().collect();
        Self {
            prefixes: IpNet::aggregate(&all),
        }
    }
}
