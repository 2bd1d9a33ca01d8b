//! A packet that may begin a session: what the table will need for it is asked for
//! early, by a guess that only costs time where it is wrong.

use super::key::Key;
use super::prefetch::prefetch;
use super::table::Sessions;
use crate::net::PerDirection;
use crate::packet::{Addresses, Plain};

/// How a session came: who comes next comes the same way, most often.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latest {
    /// The address that its client was given, as it stands in a packet.
    public: Option<u32>,
}

impl Latest {
    pub(super) fn of(keys: &PerDirection<Key>) -> Self {
        let (Addresses::V4(original), Addresses::V4(reply)) =
            (keys.original.addresses, keys.reply.addresses)
        else {
            return Self::default();
        };
        let ([client, _], [_, public]) = (halves(original), halves(reply));
        Self {
            public: (public != client).then_some(public),
        }
    }
}

impl Sessions {
    /// Has brought near what the table will need if this packet begins a session, which
    /// is translated as the latest was and keeps its port.
    #[inline]
    pub(crate) fn fetch_for_newcomer(&self, plain: &Plain, frame: &[u8], hash: u64) {
        let Some(Addresses::V4(addresses)) = plain.addresses(frame) else {
            return;
        };
        let [client, server] = halves(addresses);
        let public = self.latest.public.unwrap_or(client);
        let reply = Key {
            addresses: Addresses::V4(u64::from(server) | u64::from(public) << 32),
            ports: plain.ports.rotate_left(16),
            protocol: plain.protocol.0,
        };
        let hash_of_reply = self.hash.of(&reply);
        self.fetch_beginning(hash_of_reply);
        for hash in [hash, hash_of_reply] {
            if let Some(extent) = self.index.extent_line(hash) {
                prefetch(extent);
            }
        }
        self.census.fetch(client.swap_bytes());
        if self.latest.public.is_some() {
            // Its lower half is the source.
            let port = (plain.ports as u16).swap_bytes();
            let public = public.swap_bytes();
            self.mappings().fetch_shared(plain.protocol, public, port);
        }
    }
}

/// Source and destination, as they stand in a packet.
fn halves(addresses: u64) -> [u32; 2] {
    // 32 bits each.
    [addresses as u32, (addresses >> 32) as u32]
}
