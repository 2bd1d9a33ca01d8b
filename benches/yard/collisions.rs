//! Clients whose sessions meet in one place of a hash table, for one who knows
//! the key of its hash.

use std::net::SocketAddr;

use spigate::net::{Endpoint, Protocol, Tuple};
use spigate::session::KeyHash;

use super::traffic::Kind;

/// So many clients, the hashes of whose sessions have the lowest bits alike
/// under the key of this seed.
pub(crate) fn clients(seed: u64, count: u32, bits: u32) -> Vec<SocketAddr> {
    let hash = KeyHash::from_seed(seed);
    let mut found = Vec::new();
    let mut tries = 0_u32;
    while found.len() < count as usize {
        let [high, low] = [tries >> 12, tries & 0xfff];
        tries += 1;
        let client = SocketAddr::from((
            [10, (high >> 16) as u8, (high >> 8) as u8, high as u8],
            20_000 + low as u16,
        ));
        let server = Kind::Tcp.server(found.len() as u32);
        let endpoint =
            |socket: SocketAddr| Endpoint::new(socket.ip(), spigate::net::Port(socket.port()));
        let tuple = Tuple::new(Protocol::TCP, endpoint(client), endpoint(server));
        if hash.of_tuple(&tuple) & ((1 << bits) - 1) == 0 {
            found.push(client);
        }
    }
    found
}
