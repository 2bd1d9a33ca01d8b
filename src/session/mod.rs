//! Sessions.

mod state;
mod timeouts;

pub use state::{FlowState, SessionId, State, TcpState};
pub use timeouts::Timeouts;
