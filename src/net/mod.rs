//! The vocabulary that every room shares: plain values with no behaviour
//! beyond their own arithmetic and matching, and no dependency on any other room.

mod address_set;
mod dependence;
mod direction;
mod endpoint;
mod lifetime;
mod nat_row;
mod protocol;
mod rate;
mod rows;
mod sctp_chunk;
mod selector;
mod seq;
mod service;
mod tcp_flags;
mod terms;
mod time;
mod tuple;
mod worker;
mod zone;

pub use address_set::AddressSet;
pub use dependence::{Dependence, Far};
pub use direction::{Direction, PerDirection};
pub use endpoint::{Endpoint, Family, Port};
pub use lifetime::{LifetimeId, Profile};
pub use nat_row::{NatRow, NatRows};
pub use protocol::Protocol;
pub use rate::{Bucket, Rate};
pub use rows::{Iter, Rows};
pub use sctp_chunk::{ChunkType, VerificationTag};
pub use selector::{Asking, Mismatch, Selector, UnnamedTraffic};
pub use seq::SeqNumber;
pub use service::{AlgKind, Service, ServiceId, Services, Traffic, UdpChecksum};
pub use tcp_flags::TcpFlags;
pub use terms::{BlockLayout, HoldDown, Logged, Quota, Rests, RowId, Terms};
pub use time::Timestamp;
pub use tuple::{IcmpQuery, Tuple};
pub use worker::{WorkerId, Workers};
pub use zone::{IcmpErrors, Place, SourceCheck, Zone, ZoneId, Zones};
