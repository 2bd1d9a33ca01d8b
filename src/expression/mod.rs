//! Packet expressions: one packet in one line, as `explain`, rule tests,
//! filters and reports write it.
//!
//! This room owns the language, and the bytes of the packet that an expression
//! describes. It refuses to know any rule file: whether there is such a zone,
//! and which zone a packet without one enters by, is the caller's to find.
//!
//! ```text
//! lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn
//! tcp [2001:db8:10::7]:51000 > [2001:db8:ff:100::21]:21 syn ack ack-number 1001
//! lan tcp 10.0.0.7:51000 > 198.51.100.9:21 ack psh payload "USER anonymous\r\n"
//! wan udp 198.51.100.9:53 > 203.0.113.2:40000 length 100
//! lan icmp 10.0.0.7 > 198.51.100.9 echo-request id 7 seq 1 ttl 1
//! lan icmpv6 2001:db8:10::7 > 2001:db8:ff::9
//! lan icmp 10.0.0.7 > 198.51.100.9 type 3 code 1 length 28
//! lan sctp 10.0.0.7:36412 > 198.51.100.9:36412 init
//! lan gre 10.0.0.7 > 198.51.100.9
//! lan proto-89 10.0.0.7 > 198.51.100.9
//! ```
//!
//! # Grammar
//!
//! Words are separated by spaces; around `>` none are needed. Options come in
//! any order, each at most once.
//!
//! ```text
//! expression = [ zone ] , ( ported | icmp | other ) ;
//! ported     = ( "tcp" | "udp" | "sctp" | "udplite" ) , endpoint , ">" , endpoint ,
//!              { tcp-option | sctp-option | option } ;
//! icmp       = ( "icmp" | "icmpv6" ) , address , ">" , address , { icmp-option | option } ;
//! other      = ( "gre" | "esp" | "ah" | "proto-" , number ) , address , ">" , address , { option } ;
//!
//! tcp-option  = flag | "no-flags" | "seq" , number | "ack-number" , number ;
//! flag        = "syn" | "ack" | "fin" | "rst" | "psh" | "urg" | "ece" | "cwr" ;
//! sctp-option = chunk | "tag" , number ;
//! chunk       = "init" | "init-ack" | "cookie-echo" | "cookie-ack" | "data" | "sack" | "heartbeat" | "heartbeat-ack"
//!             | "shutdown" | "shutdown-ack" | "shutdown-complete" | "abort" | "error" ;
//! icmp-option = query | "type" , number | "code" , number | "id" , number | "seq" , number ;
//! query       = "echo-request" | "echo-reply" | "timestamp-request" | ... ;
//! option      = "ttl" , number | "length" , number | "payload" , text ;
//!
//! endpoint = ipv4 , ":" , port | "[" , ipv6 , "]" , ":" , port ;
//! address  = ipv4 | ipv6 ;
//! zone     = ( letter | digit | "_" | "-" | "." ) , { letter | digit | "_" | "-" | "." } ;
//! text     = '"' , { character | escape } , '"' | "'" , { character | escape } , "'" ;
//! escape   = "\r" | "\n" | "\t" | "\0" | "\\" | '\"' | "\'" | "\x" , hex , hex ;
//! ```
//!
//! - Both ends are of one family: the one that `icmp` or `icmpv6` says.
//! - What is not said: `syn` for TCP without a flag (`no-flags` sends none),
//!   `init` for SCTP, `echo-request id 1 seq 1` for ICMP, `ttl 64`, and no payload.
//! - An SCTP packet has one chunk, which the payload is the end of; an `init` or
//!   `init-ack` chooses the tag 1. `tag` is the verification tag: 0 with `init`,
//!   else 1, where nothing is said.
//! - `length` is that of the payload, which then is zeros.
//! - `proto-N` has the payload behind the IP header, whatever N is: `proto-6` is
//!   TCP whose header is the payload.
//! - A word before a protocol is a zone, even one that is called `tcp`.
//!
//! A script ([`ScriptLine`]) has three forms more:
//!
//! ```text
//! lan tcp 10.0.0.7:51000 > 198.51.100.9:21 open        a whole handshake
//! lan ftp 'PORT 10,0,0,7,200,10'                       a line in the connection that was opened last
//! wan tcp 198.51.100.9:20 > 203.0.113.2:@alg syn       the port of the data session announced last
//! ```
//!
//! # Example
//!
//! ```
//! use spigate::expression::PacketExpression;
//!
//! let text = "lan tcp 10.0.0.7:51000>198.51.100.9:21 ttl 64 syn";
//! let expression: PacketExpression = text.parse()?;
//! assert_eq!(expression.zone.as_deref(), Some("lan"));
//! assert_eq!(expression.to_string(), "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn");
//! assert_eq!(expression.packet.build().len(), 40);
//!
//! let wrong = "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 sny";
//! assert_eq!(
//!     wrong.parse::<PacketExpression>().unwrap_err().to_string(),
//!     "column 42: expected a TCP flag or an option; did you mean `syn`?
//!   lan tcp 10.0.0.7:51000 > 198.51.100.9:21 sny
//!                                            ^^^",
//! );
//! # Ok::<(), spigate::expression::ExpressionError>(())
//! ```

mod build;
mod error;
mod options;
mod parse;
mod print;
mod script;
mod spec;
mod text;
mod words;

pub use error::ExpressionError;
pub use script::ScriptLine;
pub use spec::{Addresses, IcmpMessage, MAX_PAYLOAD, PacketSpec, Payload, SctpPacket, Transport};

/// One packet, and the zone that it enters by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PacketExpression {
    /// The zone's name; without it the source address tells.
    pub zone: Option<String>,
    /// The packet.
    pub packet: PacketSpec,
}

impl std::str::FromStr for PacketExpression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::expression(text)
    }
}
