//! One file for each command: what it reads, what it prints, how it exits.

pub mod check;
