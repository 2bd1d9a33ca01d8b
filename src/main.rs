//! The `spigate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    spigate::cli::main()
}
