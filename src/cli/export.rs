//! `spigate export`: a rule file in another firewall's words.

use std::io::Write;

use super::args::{Export, Format};
use super::{Exit, complain, load_rules, output_failed};
use crate::export;

/// Runs the command: the ruleset goes to `out`, what it does not say to `err`.
pub(super) fn run(args: &Export, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let exported = match args.format {
        Format::Nftables => export::nftables(&compiled),
    };
    if let Err(error) = out.write_all(exported.text.as_bytes()) {
        return output_failed(&error, err);
    }
    for row in &exported.missing {
        complain(err, format_args!("no equivalent: {row}"));
    }
    match exported.missing.is_empty() {
        true => Exit::Fine,
        false => Exit::No,
    }
}
