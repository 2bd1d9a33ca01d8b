//! The control protocol: what a running gateway is asked, and in which words.
//!
//! Owns the shape of requests, of filters and of what frames an answer; both ends of the
//! socket use it. Refuses to know the socket itself: the gateway has the one end, `spigate
//! ctl` the other. `docs/control.md` is its reference.
//!
//! ```text
//! gateway  {"spigate-control":1,"version":"0.1.0"}
//! client   {"request":"sessions","filter":"proto=tcp dport=443"}
//! gateway  {"table":"session",...}            any number of objects
//! gateway  {"end":"ok"}                       or {"end":"error","error":"bad-request","message":"..."}
//! ```
//!
//! A line is an object. Requests of a connection are answered in their order.

mod answer;
mod filter;
mod request;

pub use answer::{End, Greeting, Refusal, Refused};
pub use filter::{FilterError, PacketFilter, SessionFilter};
pub use request::{Access, CaptureSize, Limit, Request, Sort, Tell};

/// The version of the protocol that is spoken here.
pub const VERSION: u32 = 1;

/// The longest request, in octets, without its line end.
pub const LONGEST_REQUEST: usize = 4096;
