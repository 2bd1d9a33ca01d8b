//! Rule files: text in, a compiled policy or a list of diagnostics out.
//!
//! Owns the format of rule files (`docs/rules.md` is its reference), what can
//! be wrong with one, and where each row stands. It refuses to guess: a key
//! that it does not know is an error, never ignored, and a name that it does
//! not know is never looked up elsewhere, least of all by DNS. It judges no
//! packet and opens nothing but the one file.
//!
//! ```text
//! text --toml--> tree --sections, row by row--> Policy, devices, locations
//!                  |                               only if nothing is wrong
//!                  +---> Problems --sorted--> Report (drawn for people)
//! ```
//!
//! Every reader takes `&mut Problems`, reports what it cannot use, and goes
//! on, so one run shows every error. A name whose own entry is wrong still
//! counts as declared: one mistake gives one diagnostic, not one for each use.

mod addresses;
mod alg;
mod carrier;
mod code;
mod devices;
mod diagnostic;
mod document;
mod duration;
mod floors;
mod forward;
mod ids;
mod lifetimes;
mod limits;
mod lines;
mod lint;
mod locations;
mod names;
mod nat;
mod overlaps;
mod pool;
mod report;
mod rules;
mod server;
mod services;
mod source_nat;
mod spelling;
mod static_nat;
mod syntax;
mod table;
mod timeouts;
mod word;
mod zones;

pub use code::{Code, Severity};
pub use devices::Device;
pub use diagnostic::{Diagnostic, Label};
pub use duration::parse as parse_duration;
pub use locations::{Location, Locations};
pub use report::{Colour, Report};

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::engine::Policy;
use diagnostic::Problems;

/// A rule file, read, checked and compiled.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What the engine needs.
    pub policy: Policy,
    /// What the live gateway needs: one device for each that zones name.
    pub devices: Vec<Device>,
    /// Where each row stands in the file.
    pub locations: Locations,
    /// What works and is hardly meant so.
    pub lints: Option<Report>,
}

/// The largest rule file, in bytes: far beyond what people write, and small
/// enough to read by mistake.
const LARGEST: u64 = 16 << 20;

/// Reads and compiles a rule file.
///
/// # Errors
/// Why it cannot be read, or all that is wrong with it.
pub fn load(path: &Path) -> Result<Compiled, Report> {
    let unreadable = |error: std::io::Error| Report::unreadable(path, error.to_string());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Report::unreadable(path, "larger than 16 MiB"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => compile(path, text),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let why = format!(
                "not UTF-8 text, from byte {} in line {line} on",
                valid.len()
            );
            Err(Report::unreadable(path, why))
        }
    }
}

/// Compiles the text of a rule file; `name` is what diagnostics call it.
///
/// # Errors
/// All that is wrong with it.
pub fn compile(name: &Path, text: &str) -> Result<Compiled, Report> {
    let mut problems = Problems::default();
    match document::read(name, text, &mut problems) {
        Some(compiled) if problems.is_empty() => Ok(Compiled {
            lints: Report::lints(name, text, problems.take_lints()),
            ..compiled
        }),
        _ => Err(Report::errors(name, text, problems)),
    }
}
