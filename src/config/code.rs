//! The codes of all diagnostics: one table, from which the enum, the words and
//! the list in `docs/rules.md` (which a test compares with it) all come.
//!
//! A code never changes its meaning and is never used again for another.

/// Whether a file with a diagnostic can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but hardly does what it was meant to.
    Warning,
}

/// Makes the enum, the list of all, the codes and what they mean from one table.
macro_rules! codes {
    ($($variant:ident => $code:literal, $meaning:literal;)+) => {
        /// What is wrong with a place in a rule file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $meaning] $variant,)+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code as it is printed, such as `E101`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Whether a file with it can be used.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self.name().starts_with('W') {
                    true => Severity::Warning,
                    false => Severity::Error,
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

codes! {
    // --- the file as TOML, and its shape
    Syntax => "E001", "The file is not TOML.";
    DuplicateKey => "E002", "A key or a table is given twice.";
    UnknownKey => "E003", "No key of this name exists here.";
    MissingKey => "E004", "A key that must be there is not.";
    WrongType => "E005", "The value is of another type than expected.";
    Version => "E006", "The file is written for another version of the format.";
    Empty => "E007", "A list or a section that must name something is empty.";
    TooMany => "E008", "A section has more entries than can be numbered (65536).";
    // --- names
    UnknownZone => "E101", "No zone has this name.";
    UnknownSet => "E102", "No set has this name.";
    UnknownService => "E103", "No service has this name.";
    DuplicateId => "E104", "Two rows have the same id.";
    BadName => "E105", "A name is malformed or reserved.";
    UnknownWord => "E106", "The value is none of the words that are possible here.";
    NotHere => "E107", "The gateway itself cannot stand here: only a zone can.";
    UnknownLifetime => "E108", "No lifetime has this name.";
    // --- values
    BadAddress => "E201", "This is no IP address, or none that can stand here.";
    BadPrefix => "E202", "This is no prefix.";
    HostBits => "E203", "A prefix has bits set beyond its length.";
    BadPort => "E204", "This is no port, or no range of ports.";
    BadDuration => "E205", "This is no duration, or zero.";
    BadMtu => "E206", "No device can have this MTU.";
    BadInterface => "E207", "No network interface can have this name.";
    BadEndpoint => "E208", "This is neither an address nor an address with a port.";
    BadProtocol => "E209", "This is no IP protocol number.";
    BadIcmp => "E210", "This ICMP message cannot begin a session.";
    BadNumber => "E211", "This number cannot stand here.";
    BadRange => "E212", "This is no range of addresses.";
    // --- rows that are each well written, but make no sense
    DeviceConflict => "E301", "Zones that share a device, or devices, contradict each other.";
    NoDevice => "E302", "A key is about a zone's device, and the zone has none.";
    SamePrefix => "E303", "Two zones claim the same prefix or address.";
    NoTraffic => "E304", "A service or forward does not say which traffic it is.";
    MasqueradeWithoutAddress => "E305", "The gateway has no address in the zone that masquerading needs one in.";
    ForwardPorts => "E306", "A forward leads several ports to one.";
    ForwardWithoutAddress => "E307", "A forward has no public address of its server's family.";
    ForwardNowhere => "E308", "No zone holds the server of a forward.";
    NoEffect => "E310", "A key can have no effect where it stands.";
    SizesDiffer => "E311", "Networks that are mapped to each other are of different sizes.";
    PoolInside => "E312", "Public addresses of a translation are addresses of a zone's hosts, or the gateway's own.";
    PoolTwice => "E313", "An address stands twice in a pool.";
    TwoTargets => "E314", "A translation says in two ways what an address becomes.";
    HairpinWithoutAddress => "E315", "A hairpin has no address to answer by.";
    StaticInPool => "E316", "A pool holds an address that a static row gives to one host.";
    PortsOfTwo => "E317", "Two rows give out the same ports, and one of them by range or block.";
    TooFewPorts => "E318", "There are fewer ports than ranges or blocks need.";
    BelowFloor => "E320", "With `profile = \"rfc\"`, sessions of this kind live longer.";
    // --- rows that work, but hardly as they were meant
    ForwardNotAdmitted => "W301", "No rule admits what a forward leads to its server.";
    RuleBehindTranslation => "W302", "A rule allows connections to an address that nothing forwards to.";
    FtpWithoutAlg => "W303", "A service has FTP's port and not its ALG.";
    ShortIdle => "W304", "Sessions end before the usual keep-alive of their service comes.";
    LoosePickUp => "W305", "Sessions may begin in the middle of a connection.";
    HairpinUntranslated => "W306", "A hairpin leaves the client's address, so that answers need not come back.";
    RouteOptionLeaks => "W307", "Options that pass a translation unchanged may name inside addresses.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_used_twice_and_all_are_in_order() {
        let names: Vec<_> = Code::ALL.iter().map(|c| c.name()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
