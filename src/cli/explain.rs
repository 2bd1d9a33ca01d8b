//! `spigate explain`: one packet's way, step by step.

use std::io::Write;

use super::Exit;
use super::args::Explain;

/// Runs the command.
pub(super) fn run(_args: &Explain, _out: &mut impl Write, _err: &mut impl Write) -> Exit {
    Exit::Unusable
}
