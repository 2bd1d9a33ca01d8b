//! What is to be written down of mappings, blocks and sessions (RFC 6888 section 4).

use super::super::blocks::Lease;
use super::super::note::{Change, Note, Noted};
use super::{Claim, Held, Mappings};
use crate::net::{Endpoint, Logged, Port, RowId};
use std::net::IpAddr;

impl Mappings {
    /// What is to be written down since this was asked last.
    pub(in crate::session) fn fetch_notes(&mut self) -> impl Iterator<Item = Note> {
        self.notes.drain(..)
    }

    /// Whether there is any.
    pub(in crate::session) fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    pub(super) fn note_mapping(&mut self, row: RowId, claim: Claim, held: &Held, change: Change) {
        if self.logged(row) != Logged::Mappings {
            return;
        }
        let (protocol, outside) = held.public;
        let own = matches!(claim, Claim::Mapped(..)).then_some(held.inside.port);
        self.notes.push(Note {
            row,
            client: held.inside.address,
            change,
            what: Noted::Mapping {
                protocol,
                port: own,
                outside,
            },
        });
    }

    pub(super) fn note_session(&mut self, row: RowId, held: &Held, change: Change) {
        if self.logged(row) != Logged::Sessions {
            return;
        }
        let (protocol, outside) = held.public;
        let far = match protocol.is_icmp() {
            true => Endpoint::new(held.far.address, Port(0)),
            false => held.far,
        };
        self.notes.push(Note {
            row,
            client: held.inside.address,
            change,
            what: Noted::Session {
                protocol,
                port: held.inside.port,
                outside,
                far,
            },
        });
    }

    pub(super) fn note_block(&mut self, row: RowId, client: IpAddr, lease: Lease, change: Change) {
        let layout = self.terms(row).and_then(|terms| terms.blocks);
        if let Some(layout) = layout.filter(|_| self.logged(row) >= Logged::Blocks) {
            self.notes.push(Note {
                row,
                client,
                change,
                what: Noted::Block(lease.address, layout.ports(lease.block)),
            });
        }
    }

    pub(super) fn logged(&self, row: RowId) -> Logged {
        self.terms(row).map(|terms| terms.log).unwrap_or_default()
    }
}
