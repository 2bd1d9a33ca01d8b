//! What is tried on the FTP ALG: one trick, one file. Each compares the whole table
//! of sessions and expectations before and after, and names the check that
//! refuses.

mod a_thousand_announcements;
mod acceptance_of_something_else;
mod after_epsv_all;
mod another_family;
mod another_host_in_227;
mod bare_line_ends;
mod before_anybody_is_let_in;
mod binary_junk;
mod bounce_to_a_neighbour;
mod bounce_to_a_stranger;
mod bounce_to_nobody;
mod bounce_to_the_gateway;
mod command_at_a_fragment_edge;
mod command_at_a_segment_edge;
mod commands_in_a_data_stream;
mod commands_under_tls;
mod endless_line;
mod forged_acceptance;
mod hole_of_a_session_that_ends;
mod hole_over_a_service;
mod holes_without_end;
mod http_to_port_21;
mod line_that_never_arrives;
mod numbers_that_overflow;
mod other_protocols_to_port_21;
mod privileged_port;
mod refused_port;
mod ssh_port_in_a_reply;
mod stolen_hole;
mod tiny_segments;
mod tls_to_port_21;
mod two_replies_to_one_command;
mod unasked_reply;
mod well_known_service;
mod wrong_direction;

use spigate::session::Expectation;

use crate::dialogue::Dialogue;
use crate::forged::Kept;
use crate::lab::{LAN, Lab};
use crate::packets::tcp;
use crate::policies::OFFICE;

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";

/// A control session of a masqueraded client, and the gateway that reads it.
struct Talk {
    lab: Lab,
    ends: Dialogue,
}

impl Talk {
    /// Its ends have said nothing.
    fn connected() -> Self {
        // What a server has to say before anybody gets in is to be tried, too.
        let policy = OFFICE.replace(
            "[policy]",
            "[alg.ftp]\nactive-opens = \"accepted\"\n\n[policy]",
        );
        let mut lab = Lab::new(&policy);
        let ends = Dialogue::open(&mut lab, 1.0, (LAN, CLIENT), SERVER);
        Self { lab, ends }
    }

    /// The server has greeted.
    fn greeted() -> Self {
        let mut talk = Self::connected();
        talk.server("220 ready\r\n");
        talk
    }

    /// The client has logged in.
    fn outward() -> Self {
        let mut talk = Self::connected();
        talk.ends.logs_in(&mut talk.lab, 1.0);
        talk
    }

    fn client(&mut self, text: &str) -> String {
        self.ends.client_says(&mut self.lab, 1.0, text)
    }

    fn server(&mut self, text: &str) -> String {
        self.ends.server_says(&mut self.lab, 1.0, text)
    }

    /// Each end acknowledges what it has heard.
    fn settle(&mut self) {
        self.client("");
        self.server("");
    }

    fn table(&self) -> (Kept, Vec<Expectation>) {
        let expectations = self.lab.engine.sessions().expectations().sorted();
        (Kept::of(&self.lab), expectations)
    }

    /// Plays a trick: it leaves the table as it was, and is refused by this check
    /// (if it is a thing to be refused at all).
    fn comes_to_nothing(&mut self, check: &str, trick: impl FnOnce(&mut Self)) {
        let count = |talk: &Self| {
            let mut counts = talk.lab.engine.counters().not_opened();
            counts
                .find(|(own, _)| *own == check)
                .map_or(0, |(_, count)| count)
        };
        self.settle();
        let (before, counted) = (self.table(), count(self));
        trick(self);
        self.settle();
        assert_eq!(self.table(), before);
        assert_eq!(count(self) > counted, !check.is_empty(), "{check}");
    }

    /// Somebody tries a door, and is not let in.
    fn knocks_in_vain(&mut self, zone: &'static str, from: &str, to: &str) {
        let before = self.table();
        let sent = self.lab.at(1.0).from(zone).send(tcp(from, to).syn());
        assert!(
            sent.forwarded.is_none(),
            "{from} > {to}: {:?}",
            sent.judgement
        );
        assert_eq!(self.table(), before);
    }
}
