//! TCP: the state machine (`table`), the window check (`window`), what is
//! known of a connection (`connection`, in few octets `packed`), and how strictly all is judged (`checks`).

mod checks;
mod connection;
mod packed;
mod segment;
mod swing;
mod table;
mod window;

pub use checks::{PickUp, Resets, TcpChecks, Windows};
pub use connection::{Connection, Heard, Life};
pub(super) use connection::{PassedSyn, Verdict};
pub(super) use packed::Packed;
pub(super) use segment::Segment;
