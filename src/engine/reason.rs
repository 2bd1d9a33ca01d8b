//! Why a packet got its verdict: one fixed word for each cause.

/// Makes the enum, the list of all, and the names from one table.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// What decided about a packet. The words never change: counters, JSON,
        /// logs and `docs/reasons.md` all use them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])+ $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The fixed kebab-case word.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    // --- it passed, or was judged by what the operator wrote
    /// A rule of the file matched this new connection.
    Rule => "rule",
    /// No rule matched; the default policy decided.
    DefaultPolicy => "default-policy",
    /// It belongs to a session that was allowed before.
    Session => "session",
    /// It opens a data session that an ALG announced.
    Expected => "expected",
    /// A client's mapping lets strangers in, and this is one.
    Mapping => "mapping",
    /// A SYN that the rules refuse, held in case its connection is opened from inside.
    UnsolicitedSyn => "unsolicited-syn",
    /// It is an ICMP error about a session.
    Related => "related",
    /// The gateway itself was asked, and answered.
    GatewayEcho => "gateway-echo",
    /// The gateway itself was addressed, and offers no such service.
    GatewayService => "gateway-service",
    // --- it never reached the path
    /// Not an IP packet: a capture holds such, a TUN device brings none.
    NotIp => "not-ip",
    /// Its source address lies in no zone that it could have come by.
    NoZone => "no-zone",
    // --- the packet is broken
    /// Shorter than its headers say, or lengths that contradict each other.
    BadLength => "bad-length",
    /// Neither IPv4 nor IPv6, or a header that cannot be read.
    BadHeader => "bad-header",
    /// The checksum of the IP header or of the transport is wrong.
    BadChecksum => "bad-checksum",
    /// A source or destination address that no packet on the wire may have.
    BadAddress => "bad-address",
    /// An IPv4 option whose length cannot be.
    BadOption => "bad-option",
    /// A source address that lies elsewhere than the packet comes from.
    SpoofedSource => "spoofed-source",
    /// It carries the way that it wants to be sent.
    SourceRoute => "source-route",
    /// It carries an option in which routers write their addresses.
    RecordRoute => "record-route",
    /// TCP flags that no honest stack sends together.
    TcpBadFlags => "tcp-bad-flags",
    /// SCTP chunks that no honest stack puts together.
    SctpBadChunks => "sctp-bad-chunks",
    // --- tracking says no
    /// A TCP segment that its session's state does not allow.
    TcpInvalidState => "tcp-invalid-state",
    /// A TCP segment outside of the windows that both ends have offered.
    TcpOutOfWindow => "tcp-out-of-window",
    /// A reset whose number was acknowledged long ago.
    TcpInvalidRst => "tcp-invalid-rst",
    /// An SCTP chunk that its association's state does not allow.
    SctpInvalidState => "sctp-invalid-state",
    /// An SCTP packet without its association's verification tag.
    SctpWrongTag => "sctp-wrong-tag",
    /// Neither part of a session nor fit to begin one.
    NoSession => "no-session",
    /// An ICMP error that quotes no session.
    IcmpUnrelated => "icmp-unrelated",
    /// The session table is full, and nothing in it makes room.
    SessionLimit => "session-limit",
    /// There are as many half-open TCP connections as there may be.
    HalfOpenLimit => "half-open-limit",
    /// Its source has as many sessions as one may have.
    SourceLimit => "source-limit",
    /// Its source begins sessions more often than one may.
    SourceRate => "source-rate",
    /// The rule has let in as many sessions as it may.
    RuleLimit => "rule-limit",
    /// An operator lets no new session begin.
    Draining => "draining",
    // --- what the gateway asked itself
    /// An end answers a keep-alive of the gateway's own; the other end has not
    /// asked, and gets nothing.
    ProbeAnswered => "probe-answered",
    // --- fragments
    /// A piece of a datagram, kept until the others are there.
    FragmentHeld => "fragment-held",
    /// Pieces that overlap, or that contradict each other.
    FragmentOverlap => "fragment-overlap",
    /// A piece with a part of a TCP header.
    FragmentTiny => "fragment-tiny",
    /// More pieces than are kept.
    FragmentLimit => "fragment-limit",
    /// A piece whose datagram did not become whole in time.
    FragmentTimeout => "fragment-timeout",
    // --- the way on
    /// No zone holds the destination.
    NoRoute => "no-route",
    /// The time to live (or hop limit) ran out here.
    TtlExpired => "ttl-expired",
    /// Too long for the link that it would leave by, and not to be cut.
    PacketTooBig => "packet-too-big",
    // --- translation
    /// Every port of the public address is in use towards this server.
    NatPortsExhausted => "nat-ports-exhausted",
    /// The client holds as many public endpoints as one may.
    NatClientLimit => "nat-client-limit",
    /// The client takes new public endpoints more often than one may.
    NatClientRate => "nat-client-rate",
    /// There are as many sessions by the public endpoint as there may be.
    NatMappingLimit => "nat-mapping-limit",
    /// The translation names no address of this packet's family.
    NatNoAddress => "nat-no-address",
    /// An invalid packet that a rule allows, with no session to translate it by.
    Untranslatable => "untranslatable",
    // --- application-layer gateways
    /// The ALG refused what the control dialogue asked for.
    AlgRefused => "alg-refused",
    /// A line of a control dialogue is longer than any that is read, and such
    /// are blocked.
    AlgLongLine => "alg-long-line",
    /// All octets of a control segment wait for those that follow them.
    AlgHeld => "alg-held",
    /// A control segment that came before what precedes it: treated as lost.
    AlgOutOfOrder => "alg-out-of-order",
    /// A control segment with other octets than came before under its numbers.
    AlgOverlap => "alg-overlap",
    /// More of a control stream is on its way than is kept: treated as lost.
    AlgUnacknowledged => "alg-unacknowledged",
    // --- ourselves
    /// A broken invariant of the engine: a bug of ours.
    Internal => "internal",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
