//! Packets: read once, then trusted; changed in place; made where the gateway
//! speaks itself.
//!
//! Owns offsets, byte order and checksums, and nothing of what a packet means.
//! [`Headers::read`] checks every length; all later work takes its word. The
//! hot path reads at fixed offsets; what is rare (an RST, an ICMP error) is
//! built by etherparse.

mod addresses;
mod bytes;
mod changes;
pub mod checksum;
mod crc32c;
mod fragment;
mod icmp_error;
mod merge;
mod options;
mod parse;
mod plain;
mod reply;
mod rewrite;
mod routing_header;
mod sctp;
mod segments;
mod source_route;
mod speech;
mod tcp;

pub use addresses::{Addresses, Leaving, ports_of};
pub(crate) use changes::Changes;
pub use fragment::{BadPiece, Cuts, Cutting, Follows, Piece, assemble, cutting, ecn};
pub use icmp_error::{quoted, translate_error};
pub use merge::Mergeable;
pub use options::broken_option;
pub use parse::{BadPacket, Checksum, Fragment, Headers, Quoted, Transport};
pub use plain::{Plain, PlainOptions, PlainSegment};
pub use reply::{Complaint, echo_reply, icmp_error, reset};
pub use rewrite::{
    Renumber, complete_checksum, decrement_ttl, lower_mss, renumber, repair_checksums,
    replace_payload, send_on, translate,
};
pub use sctp::{Chunk, ChunkTypes, Chunks, SctpHeader};
pub use segments::{
    SegmentSize, announced_mss, clear_flags, default_mss, put_urgent, segment, split, urgent,
};
pub use source_route::{RouteOption, quotes_source_route, route_option};
pub use speech::{Numbers, Speech, in_the_name_of};
pub use tcp::{TcpHeader, TcpOptions};
