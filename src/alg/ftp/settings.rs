//! What an operator may say about FTP (`[alg.ftp]`).

use std::ops::RangeInclusive;

use crate::net::{Port, Profile};

/// How FTP's control sessions are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How far the dialogue has to have come before it opens anything.
    pub strictness: Strictness,
    /// The ports that may be announced.
    pub data_ports: Vec<RangeInclusive<Port>>,
    /// Ports of these that may not, since something else than FTP listens there.
    pub refused_ports: Vec<RangeInclusive<Port>>,
    /// What happens to a PORT or EPRT that names another host than its sender.
    pub third_party: ThirdParty,
    /// Whose address counts where a 227 names another host than its sender.
    pub passive_host: PassiveHost,
    /// Commands that do not reach the server, in capitals.
    pub denied: Vec<String>,
    /// What happens to AUTH, and after it.
    pub after_auth_tls: AfterAuth,
    /// What happens to LPRT and LPSV (RFC 1639).
    pub long_addresses: Passage,
    /// How many octets of a line are read at most, its CR LF included.
    pub longest_line: usize,
    /// What happens to a line that is longer than any that is read.
    pub long_lines: Passage,
    /// When an active server may connect.
    pub active_opens: ActiveOpens,
    /// From which port an active server may connect.
    pub active_from: ActiveFrom,
    /// Whether a transfer without PORT or PASV may use the default data port.
    pub default_port: DefaultPort,
    /// How many data sessions a control session may expect at a time.
    pub most_expected: usize,
}

/// How far the dialogue has to have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strictness {
    /// It is followed: greeting, login, each reply with the command that it
    /// answers; what is no FTP is let go.
    #[default]
    Dialogue,
    /// As the kernel's helper: each line is taken by itself.
    Lines,
}

/// What happens to an announcement that names another host than its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ThirdParty {
    /// It passes as it is, and opens nothing.
    #[default]
    Ignore,
    /// The server does not get to see it.
    Block,
}

/// Whom a 227 means that names another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PassiveHost {
    /// That host: so it passes as it is, and opens nothing.
    #[default]
    Named,
    /// The server itself (RFC 6384 section 6), as clients take it.
    Server,
}

/// What happens to AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AfterAuth {
    /// It passes; once accepted, nothing more is read.
    #[default]
    Pass,
    /// The server does not get to see it: the session stays readable.
    Block,
    /// It passes; once accepted, nothing is read until both ends have gone back
    /// to clear text (RFC 4217 section 12.3).
    Ccc,
}

/// Whether something gets by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Passage {
    /// It does, unread.
    #[default]
    Pass,
    /// It does not.
    Block,
}

/// When an active server may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ActiveOpens {
    /// From the announcement on, as with the kernel's helper: some servers connect
    /// before they answer it. One that refuses it is let in no more.
    #[default]
    Announced,
    /// Once it has accepted the announcement.
    Accepted,
}

impl ActiveOpens {
    /// What a profile has.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Linux => Self::Announced,
            Profile::Rfc | Profile::Carrier => Self::Accepted,
        }
    }
}

/// From which port an active server may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ActiveFrom {
    /// From any.
    #[default]
    Any,
    /// From the one below that of its control session (RFC 959 section 3.2):
    /// 20, usually.
    Below,
}

/// Whether the default data port is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DefaultPort {
    /// No data session without an announcement.
    #[default]
    Unused,
    /// A transfer without one is expected at the port that the client's control
    /// session comes from (RFC 959 section 3.3).
    Used,
}

/// The longest line that is read.
///
/// RFC 959 names no limit. 512 octets is what SMTP, which has the same line
/// format, gives a command (RFC 5321 section 4.5.3.1.4), and ten times what an
/// announcement needs; a longer line, such as one with a long pathname, has
/// nothing to say to an ALG.
const LONGEST_LINE: usize = 512;

/// Where something listens that is worth more than the file which a client could
/// not fetch: databases, remote desktops and shells, proxies, printers, the
/// control ports of machines.
const WELL_KNOWN: [(u16, u16); 28] = [
    (1080, 1080),
    (1433, 1434),
    (1521, 1521),
    (1723, 1723),
    (2049, 2049),
    (2375, 2376),
    (3128, 3128),
    (3260, 3260),
    (3268, 3269),
    (3306, 3306),
    (3389, 3389),
    (5060, 5061),
    (5432, 5432),
    (5555, 5555),
    (5672, 5672),
    (5900, 5910),
    (5984, 5986),
    (6379, 6379),
    (6443, 6443),
    (7547, 7547),
    (8080, 8081),
    (8291, 8291),
    (8443, 8443),
    (9090, 9090),
    (9100, 9100),
    (9200, 9200),
    (11211, 11211),
    (27017, 27019),
];

impl Default for Settings {
    fn default() -> Self {
        let range = |(first, last)| Port(first)..=Port(last);
        Self {
            strictness: Strictness::default(),
            data_ports: vec![range((1024, 65535))],
            refused_ports: WELL_KNOWN.map(range).to_vec(),
            third_party: ThirdParty::default(),
            passive_host: PassiveHost::default(),
            denied: Vec::new(),
            after_auth_tls: AfterAuth::default(),
            long_addresses: Passage::default(),
            longest_line: LONGEST_LINE,
            long_lines: Passage::default(),
            active_opens: ActiveOpens::default(),
            active_from: ActiveFrom::default(),
            default_port: DefaultPort::default(),
            most_expected: 1,
        }
    }
}

impl Settings {
    /// Whether this port may be announced.
    #[must_use]
    pub fn allows(&self, port: Port) -> bool {
        let within = |ranges: &[RangeInclusive<Port>]| ranges.iter().any(|r| r.contains(&port));
        within(&self.data_ports) && !within(&self.refused_ports)
    }

    /// Whether it is one of those that may be announced, were it not refused.
    #[must_use]
    pub fn is_data_port(&self, port: Port) -> bool {
        self.data_ports.iter().any(|range| range.contains(&port))
    }

    /// Whether a line that begins so may be one that is kept from the server.
    #[must_use]
    pub(super) fn may_hide(&self, beginning: &[u8]) -> bool {
        let hides_auth = self.after_auth_tls == AfterAuth::Block;
        let hides_long = self.long_addresses == Passage::Block;
        let hides_third = self.third_party == ThirdParty::Block;
        let own = [
            ("AUTH", hides_auth),
            ("LPRT", hides_long),
            ("LPSV", hides_long),
        ];
        let third = [("PORT", hides_third), ("EPRT", hides_third)];
        let own = own.into_iter().chain(third).filter(|(_, hides)| *hides);
        let verbs = own
            .map(|(verb, _)| verb)
            .chain(self.denied.iter().map(String::as_str));
        let length = beginning.iter().position(|octet| *octet == b' ');
        let word = beginning.get(..length.unwrap_or(beginning.len()));
        let word = word.unwrap_or_default();
        let word = word.strip_suffix(b"\r").unwrap_or(word);
        // The verb is whole where a space follows it.
        let may_be = |verb: &str| match length {
            Some(_) => word.eq_ignore_ascii_case(verb.as_bytes()),
            None => verb
                .as_bytes()
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word)),
        };
        !word.is_empty() && verbs.into_iter().any(may_be)
    }

    /// Whether this command is kept from the server.
    #[must_use]
    pub fn denies(&self, verb: &[u8]) -> bool {
        let is_it = |denied: &String| denied.as_bytes().eq_ignore_ascii_case(verb);
        self.denied.iter().any(is_it)
    }
}
