//! The tables of results in `docs/ftp.md`: made here, or compared with what is
//! there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::clients::{Client, Mode};
use super::servers::Server;

/// What came of a cell.
pub(super) enum Outcome {
    Works,
    /// Nobody can have the client do this.
    Unable(&'static str),
    Failed(String),
}

/// `docs/ftp.md`.
pub(super) fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ftp.md")
}

/// The table of a topology, as it belongs into the guide.
pub(super) fn rendered(results: &[(Server, Client, Mode, Outcome)]) -> String {
    let mut table = String::from(
        "| server | client | PORT | PASV | EPRT | EPSV | EPRT, IPv6 | EPSV, IPv6 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut reasons = BTreeSet::new();
    for server in Server::ALL {
        for client in Client::ALL {
            let _ = write!(table, "| {} | {} |", server.name(), client.name());
            for mode in Mode::ALL {
                let is_it = |(of, by, with, _): &&(Server, Client, Mode, Outcome)| {
                    (*of, *by, *with) == (server, client, mode)
                };
                let (.., result) = results.iter().find(is_it).expect("all cells were tried");
                let word = match result {
                    Outcome::Works => "works",
                    Outcome::Failed(_) => "fails",
                    Outcome::Unable(why) => {
                        reasons.insert(*why);
                        "-"
                    }
                };
                let _ = write!(table, " {word} |");
            }
            table.push('\n');
        }
    }
    for why in reasons {
        let _ = write!(table, "\n\\-: {why}.\n");
    }
    table
}

/// Compares a table with the guide's of this name, or with `UPDATE` in the
/// environment puts it there.
pub(super) fn hold(name: &str, table: &str) {
    let mut file = File::open(guide()).expect("the guide is there");
    // Tests of several topologies may want to write at once.
    flock(&file, FlockOperation::LockExclusive).expect("a lock");
    let text = std::io::read_to_string(&mut file).expect("the guide is text");
    let begin = format!("<!-- made by `UPDATE=1 cargo test --test live ftp::`: {name} -->\n");
    let (before, rest) = text.split_once(&begin).expect("a place for the table");
    let (there, after) = rest.split_once("<!-- end -->").expect("its end");
    if there == table {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "docs/ftp.md has for {name}\n{there}\nand this is\n{table}"
    );
    let text = format!("{before}{begin}{table}<!-- end -->{after}");
    fs::write(guide(), text).expect("the guide can be written");
}
