//! The client's own address, and a port at which its system listens.

use super::Talk;
use crate::lab::WAN;

#[test]
fn a_privileged_port_is_never_opened() {
    for line in [
        "PORT 10,0,0,7,0,22\r\n",
        "PORT 10,0,0,7,1,189\r\n",
        "PORT 10,0,0,7,3,255\r\n",
        "EPRT |1|10.0.0.7|139|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("privileged-port", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
        for port in ["22", "445", "1023", "139"] {
            talk.knocks_in_vain(WAN, "198.51.100.21:20", &format!("203.0.113.2:{port}"));
        }
    }
}
