//! Why an announcement opened nothing.

use std::fmt;
use std::net::IpAddr;

use crate::net::Port;

/// Why the engine opened no hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHole {
    /// No port of the translated address is free.
    NoPort,
    /// The translated endpoint would have to be written into octets that have
    /// already left.
    NeedsRewrite,
    /// All together expect as many data sessions as they may.
    Limit,
    /// No way leads to the announced host through this gateway.
    NoRoute,
}

/// Why an announcement opened nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// It does not follow its grammar.
    Malformed,
    /// It names another host than its sender (RFC 2577 section 3).
    ThirdParty(IpAddr),
    /// It names an address that is no host's: unspecified, loopback, multicast
    /// or broadcast.
    NoHost(IpAddr),
    /// It names an address of the gateway.
    Gateway(IpAddr),
    /// It names an address of another family than the control session's.
    OtherFamily,
    /// Its port is below 1024 (RFC 2577 section 3).
    PrivilegedPort(Port),
    /// Its port is none of `data-ports`.
    PortOutOfRange(Port),
    /// Something else than FTP listens at its port: `refused-ports`.
    RefusedPort(Port),
    /// No command asked for this reply.
    Unasked,
    /// The server has accepted no login yet.
    BeforeLogin,
    /// The client has promised to use nothing but EPSV (RFC 2428 section 4).
    AfterEpsvAll,
    /// The client has asked for encryption and has no answer yet (RFC 4217).
    AfterAuth,
    /// The first line of the session is no command of FTP: nothing of it is
    /// read any more.
    NotFtp,
    /// The operator keeps this command from the server.
    Denied,
    /// The line is longer than any that is read, and may not pass.
    LongLine,
    /// More commands are without a reply than are remembered: nothing more of
    /// the session is read.
    Crowded,
    /// The engine opened no hole.
    NoHole(NoHole),
}

impl NotOpened {
    /// The IDs of all checks, in the order of [`index`](Self::index).
    pub const CHECKS: [&'static str; 20] = [
        "malformed",
        "third-party",
        "no-host",
        "gateway",
        "other-family",
        "privileged-port",
        "data-ports",
        "refused-port",
        "unasked",
        "before-login",
        "after-epsv-all",
        "after-auth",
        "not-ftp",
        "denied",
        "long-line",
        "crowded",
        "no-port",
        "already-left",
        "limit",
        "no-route",
    ];

    /// The place of its check.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Malformed => 0,
            Self::ThirdParty(_) => 1,
            Self::NoHost(_) => 2,
            Self::Gateway(_) => 3,
            Self::OtherFamily => 4,
            Self::PrivilegedPort(_) => 5,
            Self::PortOutOfRange(_) => 6,
            Self::RefusedPort(_) => 7,
            Self::Unasked => 8,
            Self::BeforeLogin => 9,
            Self::AfterEpsvAll => 10,
            Self::AfterAuth => 11,
            Self::NotFtp => 12,
            Self::Denied => 13,
            Self::LongLine => 14,
            Self::Crowded => 15,
            Self::NoHole(NoHole::NoPort) => 16,
            Self::NoHole(NoHole::NeedsRewrite) => 17,
            Self::NoHole(NoHole::Limit) => 18,
            Self::NoHole(NoHole::NoRoute) => 19,
        }
    }

    /// The check that refused it: a stable kebab-case word, which docs/reasons.md
    /// explains.
    #[must_use]
    pub fn check(self) -> &'static str {
        Self::CHECKS.get(self.index()).copied().unwrap_or_default()
    }
}

impl fmt::Display for NoHole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "no port is free",
            Self::NeedsRewrite => "what would have to be rewritten has already left",
            Self::Limit => "too many data sessions are expected",
            Self::NoRoute => "it does not come through here",
        })
    }
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed"),
            Self::ThirdParty(address) => write!(f, "{address} is not its sender"),
            Self::NoHost(address) => write!(f, "{address} is no host"),
            Self::Gateway(address) => write!(f, "{address} is the gateway"),
            Self::OtherFamily => f.write_str("of another address family than the session"),
            Self::PrivilegedPort(port) => write!(f, "port {port} is privileged"),
            Self::PortOutOfRange(port) => write!(f, "port {port} is none of `data-ports`"),
            Self::RefusedPort(port) => write!(f, "port {port} is one of `refused-ports`"),
            Self::Unasked => f.write_str("no command asked for it"),
            Self::BeforeLogin => f.write_str("nobody has logged in"),
            Self::AfterEpsvAll => f.write_str("EPSV ALL was sent before"),
            Self::AfterAuth => f.write_str("AUTH was sent before"),
            Self::NotFtp => f.write_str("the session does not speak FTP, and is not read"),
            Self::Denied => f.write_str("the rule file keeps it from the server"),
            Self::LongLine => f.write_str("too long to be read"),
            Self::Crowded => f.write_str("too many commands have no reply; nothing more is read"),
            Self::NoHole(why) => why.fmt(f),
        }
    }
}
