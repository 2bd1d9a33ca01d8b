//! Rule files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // a test may fail so

use std::path::Path;

#[test]
fn scratch() {
    for f in std::env::var("RULE_FILES")
        .unwrap_or_default()
        .split(' ')
        .filter(|f| !f.is_empty())
    {
        match spigate::config::load(Path::new(f)) {
            Ok(c) => println!("{c:#?}"),
            Err(r) => println!("{}", r.render(spigate::config::Colour::Plain)),
        }
    }
}
