//! A rule file.

use std::path::Path;

use spigate::config::{self, Colour};

/// A text compiles, or gets a report that says something and can be drawn.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(report) = config::compile(Path::new("fuzz.toml"), text) {
        assert!(
            !report.diagnostics().is_empty(),
            "refused without saying why"
        );
        assert!(!report.render(Colour::Plain).is_empty());
    }
}
