//! TCP: the state machine (`table`), the window check (`window`), and what is
//! known of a connection (`connection`).

mod connection;
mod segment;
mod table;
mod window;

pub(super) use connection::Verdict;
pub use connection::{Connection, Heard, Life, PickUp, Resets, TcpChecks, Windows};
pub(super) use segment::Segment;
