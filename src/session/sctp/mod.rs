//! SCTP: the state machine (`table`), and what is known of an association
//! (`association`): its state and the tags of both ends.

mod association;
mod table;

pub use association::Association;
pub(super) use association::{Packet, Verdict};
