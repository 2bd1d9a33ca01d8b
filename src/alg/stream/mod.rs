//! Following and rewriting one direction of a TCP stream.
//!
//! [`Cursor`] says which octets of a segment are new, so that an ALG reads
//! every octet once. [`Rewrites`] keeps the changes made to the stream and
//! applies them to every segment that carries them, first or repeated,
//! however it is cut, and moves sequence and acknowledgement numbers between
//! what the sender counts and what the receiver counts.
//!
//! Refuses to hold octets back: what cannot be read at once passes unread.
//!
//! For each segment of a session whose ALG reads on: [`Cursor::read`]; the new
//! part to the ALG; its edits into [`Rewrites::record`]; then
//! [`Rewrites::apply`] to the whole payload, old part and all, and
//! [`Rewrites::ack`] of the *other* direction to its acknowledgement number.

mod cursor;
mod rewrites;
#[cfg(test)]
mod tests;

pub use cursor::{Cursor, Reading};
pub use rewrites::{MAX_CHANGES, Rewrites, Unrecordable};
