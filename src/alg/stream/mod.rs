//! Following and rewriting one direction of a TCP stream.
//!
//! A [`Follower`] says of each segment what is new in it, so that an ALG reads
//! every octet once, in order, and in one version only: what contradicts octets
//! that passed is to be dropped, and what lies behind a gap too, until the
//! missing octets come. It keeps the octets that the ALG withholds, which leave
//! with those that follow them. [`Rewrites`] keeps the changes made to the
//! stream and applies them to every segment that carries them, first or
//! repeated, however it is cut, and moves sequence and acknowledgement numbers
//! between what the sender counts and what the receiver counts.
//!
//! A sender whose octets are withheld gets no acknowledgement of them, as its
//! receiver has none to give; so it repeats them, and by Nagle's algorithm (RFC
//! 9293 section 3.7.4) it may send nothing else before. Once it has repeated
//! them they are acknowledged in the receiver's name, and the gateway answers
//! for them: the octets behind them carry them along.
//!
//! For each segment of a session whose ALG reads on: [`Follower::read`]; where
//! it brings something new [`Follower::chunk`] to the ALG, and its edits into
//! [`Follower::changes`]; then [`Follower::go_on`], [`Follower::image`] of what
//! leaves, and [`Follower::acknowledged`] of the *other* direction.

mod follower;
mod kept;
mod rewrites;
#[cfg(test)]
mod tests;

pub use follower::{
    Change, Follow, Follower, MAX_BEYOND, MAX_KEPT, Place, Progress, Reading, Segment, TooMany,
    Unreadable,
};
pub use rewrites::{MAX_CHANGES, Rewrites, Unrecordable};
