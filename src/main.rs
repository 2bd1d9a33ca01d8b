//! The `spigate` command.

fn main() {}
