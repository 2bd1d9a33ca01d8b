//! TCP: the state machine (`table`), the window check (`window`), what is
//! known of a connection (`connection`), and how strictly all is judged (`checks`).

mod checks;
mod connection;
mod segment;
mod table;
mod window;

pub use checks::{PickUp, Resets, TcpChecks, Windows};
pub(super) use connection::Verdict;
pub use connection::{Connection, Heard, Life};
pub(super) use segment::Segment;
