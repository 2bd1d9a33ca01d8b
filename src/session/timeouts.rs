//! How long sessions live without traffic.

use std::time::Duration;

use crate::net::Profile;

/// The lifetimes of sessions by protocol and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// A SYN was seen, no answer yet.
    pub tcp_syn_sent: Duration,
    /// SYN and SYN/ACK were seen.
    pub tcp_syn_recv: Duration,
    /// The handshake is complete.
    pub tcp_established: Duration,
    /// One end has sent its FIN.
    pub tcp_fin_wait: Duration,
    /// That FIN was acknowledged; the other end may still send.
    pub tcp_close_wait: Duration,
    /// Both ends have sent FIN, the last acknowledgement is due.
    pub tcp_last_ack: Duration,
    /// The connection is closed; late segments may still come.
    pub tcp_time_wait: Duration,
    /// The connection was reset.
    pub tcp_close: Duration,
    /// Data stays without acknowledgement.
    pub tcp_unacknowledged: Duration,
    /// An end repeats itself, or its window stays closed.
    pub tcp_max_retrans: Duration,
    /// UDP and UDP-Lite without an answer yet.
    pub udp: Duration,
    /// UDP and UDP-Lite with traffic both ways.
    pub udp_stream: Duration,
    /// SCTP: an INIT was seen, or the association is over.
    pub sctp_closed: Duration,
    /// SCTP: INIT and INIT ACK were seen.
    pub sctp_cookie_wait: Duration,
    /// SCTP: the cookie was sent back.
    pub sctp_cookie_echoed: Duration,
    /// SCTP: the association is established.
    pub sctp_established: Duration,
    /// SCTP: the initiator shuts down.
    pub sctp_shutdown_sent: Duration,
    /// SCTP: the other end shuts down.
    pub sctp_shutdown_recd: Duration,
    /// SCTP: the SHUTDOWN was answered.
    pub sctp_shutdown_ack_sent: Duration,
    /// SCTP: a heartbeat on another path waits for its answer.
    pub sctp_heartbeat_sent: Duration,
    /// GRE without an answer yet.
    pub gre: Duration,
    /// GRE with traffic both ways.
    pub gre_stream: Duration,
    /// ICMP queries.
    pub icmp: Duration,
    /// ICMPv6 queries.
    pub icmpv6: Duration,
    /// All other protocols.
    pub generic: Duration,
    /// How long a data session that an ALG announced may take to arrive.
    pub expectation: Duration,
    /// How long an end may take to answer whether it is still there.
    pub probe: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::linux()
    }
}

impl Timeouts {
    /// The longest of them.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let Self {
            tcp_syn_sent,
            tcp_syn_recv,
            tcp_established,
            tcp_fin_wait,
            tcp_close_wait,
            tcp_last_ack,
            tcp_time_wait,
            tcp_close,
            tcp_unacknowledged,
            tcp_max_retrans,
            udp,
            udp_stream,
            sctp_closed,
            sctp_cookie_wait,
            sctp_cookie_echoed,
            sctp_established,
            sctp_shutdown_sent,
            sctp_shutdown_recd,
            sctp_shutdown_ack_sent,
            sctp_heartbeat_sent,
            gre,
            gre_stream,
            icmp,
            icmpv6,
            generic,
            expectation,
            probe,
        } = *self;
        [
            tcp_syn_sent,
            tcp_syn_recv,
            tcp_established,
            tcp_fin_wait,
            tcp_close_wait,
            tcp_last_ack,
            tcp_time_wait,
            tcp_close,
            tcp_unacknowledged,
            tcp_max_retrans,
            udp,
            udp_stream,
            sctp_closed,
            sctp_cookie_wait,
            sctp_cookie_echoed,
            sctp_established,
            sctp_shutdown_sent,
            sctp_shutdown_recd,
            sctp_shutdown_ack_sent,
            sctp_heartbeat_sent,
            gre,
            gre_stream,
            icmp,
            icmpv6,
            generic,
            expectation,
            probe,
        ]
        .into_iter()
        .max()
        .unwrap_or_default()
    }

    /// Those that hold where a rule file of this profile says nothing.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Linux => Self::linux(),
            Profile::Rfc | Profile::Carrier => Self::rfc(),
        }
    }

    /// Linux conntrack's.
    fn linux() -> Self {
        Self {
            tcp_syn_sent: Duration::from_secs(120),
            tcp_syn_recv: Duration::from_secs(60),
            tcp_established: Duration::from_secs(5 * 24 * 3600),
            tcp_fin_wait: Duration::from_secs(120),
            tcp_close_wait: Duration::from_secs(60),
            tcp_last_ack: Duration::from_secs(30),
            tcp_time_wait: Duration::from_secs(120),
            tcp_close: Duration::from_secs(10),
            tcp_unacknowledged: Duration::from_secs(300),
            tcp_max_retrans: Duration::from_secs(300),
            udp: Duration::from_secs(30),
            udp_stream: Duration::from_secs(120),
            sctp_closed: Duration::from_secs(10),
            sctp_cookie_wait: Duration::from_secs(3),
            sctp_cookie_echoed: Duration::from_secs(3),
            sctp_established: Duration::from_secs(210),
            sctp_shutdown_sent: Duration::from_secs(3),
            sctp_shutdown_recd: Duration::from_secs(3),
            sctp_shutdown_ack_sent: Duration::from_secs(3),
            sctp_heartbeat_sent: Duration::from_secs(30),
            gre: Duration::from_secs(30),
            gre_stream: Duration::from_secs(180),
            icmp: Duration::from_secs(30),
            icmpv6: Duration::from_secs(30),
            generic: Duration::from_secs(600),
            expectation: Duration::from_secs(300),
            // Many times the longest way around the earth, and longer than the
            // half second within which Linux answers only once.
            probe: Duration::from_secs(20),
        }
    }

    /// Those of RFC 5382 and RFC 7857 (TCP), RFC 4787 (UDP) and RFC 5508 (ICMP).
    fn rfc() -> Self {
        // RFC 5382 REQ-5: established, two hours and four minutes; opening and
        // closing, four minutes (RFC 7857 section 2.1; RFC 793's 2 MSL).
        let established = Duration::from_secs((2 * 60 + 4) * 60);
        let transitory = Duration::from_secs(240);
        Self {
            tcp_syn_sent: transitory,
            tcp_syn_recv: transitory,
            tcp_established: established,
            // RFC 5382 section 5: a connection closes when both ends have sent
            // their FIN. One that is closed by half may be idle as long as any.
            tcp_fin_wait: established,
            tcp_close_wait: established,
            tcp_last_ack: transitory,
            tcp_time_wait: transitory,
            // RFC 7857 section 2.2: after a reset the session stays.
            tcp_close: transitory,
            // REQ-5 knows no other ground to give up an established one.
            tcp_unacknowledged: established,
            tcp_max_retrans: established,
            // RFC 4787 REQ-5c.
            udp: Duration::from_secs(300),
            udp_stream: Duration::from_secs(300),
            // RFC 5508 REQ-2.
            icmp: Duration::from_secs(60),
            icmpv6: Duration::from_secs(60),
            // RFC 6092 REC-12: five minutes for all other protocols. It names no
            // states of SCTP.
            gre: Duration::from_secs(300),
            gre_stream: Duration::from_secs(300),
            ..Self::linux()
        }
    }
}
