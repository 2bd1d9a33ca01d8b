//! A packet that may begin a session: what the table will need for it is asked for
//! early, by a guess that only costs time where it is wrong.

use super::key::{Key, Narrow};
use super::prefetch::prefetch;
use super::table::Sessions;
use crate::net::PerDirection;
use crate::packet::Plain;

/// How a session came: who comes next comes the same way, most often.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latest {
    /// The address that its client was given.
    public: Option<u32>,
}

impl Latest {
    pub(super) fn of(keys: &PerDirection<Key>) -> Self {
        let (Key::Narrow(original), Key::Narrow(reply)) = (&keys.original, &keys.reply) else {
            return Self::default();
        };
        let ([client, _], [_, public]) = (halves(original.addresses), halves(reply.addresses));
        Self {
            public: (public != client).then_some(public),
        }
    }
}

impl Sessions {
    /// Has brought near what the table will need if this packet begins a session, which
    /// is translated as the latest was and keeps its port.
    #[inline]
    pub(crate) fn fetch_for_newcomer(&self, plain: &Plain, hash: u64) {
        let [client, server] = halves(plain.addresses);
        let public = self.latest.public.unwrap_or(client);
        let reply = Narrow {
            addresses: u64::from(server) << 32 | u64::from(public),
            ports: plain.ports.rotate_left(16),
            protocol: plain.protocol.0,
        };
        let hash_of_reply = self.hash.of_narrow(&reply);
        self.fetch_index(hash_of_reply);
        for hash in [hash, hash_of_reply] {
            if let Some(extent) = self.index.extent_line(hash) {
                prefetch(extent);
            }
        }
        self.census.fetch(client);
        if self.latest.public.is_some() {
            let port = u16::try_from(plain.ports >> 16).unwrap_or_default();
            self.mappings().fetch_shared(plain.protocol, public, port);
        }
    }
}

/// Source and destination.
fn halves(addresses: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = addresses.to_be_bytes();
    [
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    ]
}
