//! The capture shell: files of captured packets, read and written, and packets that are
//! heard on live interfaces.
//!
//! It owns the formats (pcap and pcapng, plain or compressed), the link layers
//! below IP, the merging of several files by time stamp, writing pcap, and listening
//! ([`live`]). It refuses to judge a packet: what the link layer calls IP goes on as it is,
//! however broken, and the engine names what is wrong with it.
//!
//! A damaged file gives every packet up to the damage and then one
//! [`CaptureError`] with the byte where it is. Memory is bounded by
//! [`MAX_RECORD`], whatever lengths a file claims.
//!
//! ```text
//! file -> source (gzip, zstd) -> reader (pcap | pcapng) -> merge -.
//! interface -> live --------------------------------------------+-> strip_link -> engine
//! ```

mod clock;
mod compression;
mod driver;
mod error;
mod link;
pub mod live;
mod merge;
mod packet;
mod pcap;
mod pcapng;
mod pcapng_writer;
mod reader;
mod source;
mod vantage;
mod writer;

pub use compression::Compression;
pub use driver::{Entry, Feed, LinkLength, Next, PacketReport, Repair, Sink, Stopped, replay};
pub use error::{BlockDamage, CaptureError, Fault, Part};
pub use link::{IpPacket, LinkType, NotIp, strip_link};
pub use merge::{Merge, Merged};
pub use packet::{CapturedPacket, MAX_RECORD};
pub use pcapng_writer::PcapngWriter;
pub use reader::CaptureReader;
pub use vantage::{Readdressed, Vantage};
pub use writer::{PcapWriter, Resolution};
