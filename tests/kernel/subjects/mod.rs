//! What is compared besides the conversations of `scenario.rs`, a subject a file.

pub(crate) mod ipv6;
