//! What is compared besides the conversations of `scenario.rs`, a subject a file.

pub(crate) mod clashes;
pub(crate) mod datagrams;
pub(crate) mod fragments;
pub(crate) mod ftp;
pub(crate) mod ipv6;
pub(crate) mod options;
pub(crate) mod recorded;
pub(crate) mod time;
