//! What the benches of the packet path share: packets, a gateway with traffic
//! through it, and how both are timed.
#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod collisions;
pub(crate) mod gate;
pub(crate) mod options;
pub(crate) mod packets;
pub(crate) mod play;
pub(crate) mod random;
pub(crate) mod resident;
pub(crate) mod rows;
pub(crate) mod traffic;

/// The middle one of some figures.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
