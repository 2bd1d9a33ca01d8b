//! What a persistent device was before the gateway changed it, in words that the device
//! itself bears: they stand in its alias (`ip link`).
//!
//! ```text
//! spigate, before: mtu 1300, ipv4.rp_filter 1; uplink of the lab
//! ```
//!
//! So they live as long as what they tell of, whatever becomes of the gateway. One that ends
//! gives the alias back with all else; where one was killed, the next start sets back by it.
//! Behind the semicolon stands the alias that the device had.

use super::sysctl::Setting;

/// With what it begins.
const BEGINNING: &str = "spigate, before: ";
/// What stands between what it was and the alias that it had.
const ALIAS: &str = "; ";
/// Octets that an alias can have: the kernel takes 255, of which netlink spends one.
const MOST: usize = 254;

/// What a device was before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Before {
    /// Its MTU, where that was another.
    pub(super) mtu: Option<u16>,
    /// Its settings that were others.
    pub(super) settings: Vec<(Setting, u8)>,
    /// The alias that it had, or nothing.
    pub(super) alias: String,
}

impl Before {
    /// Whether only the alias is to be told.
    pub(super) fn is_as_it_was(&self) -> bool {
        self.mtu.is_none() && self.settings.is_empty()
    }

    /// The alias that says so; `None` where it would be too long.
    pub(super) fn alias_that_says_so(&self) -> Option<String> {
        let mtu = self.mtu.map(|mtu| format!("mtu {mtu}"));
        let settings = self.settings.iter();
        let settings = settings.map(|(setting, value)| format!("{setting} {value}"));
        let all: Vec<_> = mtu.into_iter().chain(settings).collect();
        let mut text = format!("{BEGINNING}{}", all.join(", "));
        if !self.alias.is_empty() {
            text = text + ALIAS + &self.alias;
        }
        (text.len() <= MOST).then_some(text)
    }

    /// What an alias says; `None` where the gateway did not write it.
    pub(super) fn told_by(alias: &str) -> Option<Self> {
        let rest = alias.strip_prefix(BEGINNING)?;
        let (all, alias) = rest.split_once(ALIAS).unwrap_or((rest, ""));
        let mut before = Self {
            alias: alias.to_owned(),
            ..Self::default()
        };
        for one in all.split(", ") {
            let (what, value) = one.split_once(' ')?;
            match what {
                "mtu" => before.mtu = Some(value.parse().ok()?),
                setting => {
                    let setting = Setting::named(setting)?;
                    before.settings.push((setting, value.parse().ok()?));
                }
            }
        }
        Some(before)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    fn before() -> impl Strategy<Value = Before> {
        let settings = subsequence(Setting::ALL.to_vec(), 0..=Setting::ALL.len());
        let alias = "[a-z;, ]{0,40}";
        (any::<Option<u16>>(), settings, any::<u8>(), alias).prop_map(|(mtu, all, value, alias)| {
            Before {
                mtu,
                settings: all.into_iter().map(|setting| (setting, value)).collect(),
                alias,
            }
        })
    }

    #[test]
    fn it_can_be_read_by_people() {
        let mut before = Before {
            mtu: Some(1300),
            settings: vec![(Setting::RP_FILTER, 1)],
            alias: "uplink of the lab".into(),
        };
        let text = "spigate, before: mtu 1300, ipv4.rp_filter 1; uplink of the lab";
        assert_eq!(before.alias_that_says_so().unwrap(), text);
        before.alias = "x".repeat(250);
        assert_eq!(before.alias_that_says_so(), None);
    }

    #[test]
    fn what_others_wrote_says_nothing() {
        for alias in [
            "",
            "uplink",
            "spigate",
            "spigate, before: ",
            "spigate, before: mtu",
            "spigate, before: mtu 70000",
            "spigate, before: ipv4.forwarding 1",
            "spigate, before: ipv4.rp_filter ../../x",
        ] {
            assert_eq!(Before::told_by(alias), None, "{alias}");
        }
    }

    proptest! {
        #[test]
        fn what_was_told_is_read_again(before in before().prop_filter("something", |b| !b.is_as_it_was())) {
            let text = before.alias_that_says_so().unwrap();
            prop_assert_eq!(Before::told_by(&text), Some(before));
        }

        #[test]
        fn whatever_an_alias_says_it_is_read_or_left(alias in "(spigate, before: )?\\PC{0,60}") {
            let _ = Before::told_by(&alias);
        }
    }
}
