//! The client's own address, and a port at which something worth having listens.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_slip_ports__the_port_of_a_known_service_is_never_opened() {
    for port in [3389_u16, 5900, 8080, 9100, 5432, 6379, 2375] {
        let [high, low] = port.to_be_bytes();
        let mut talk = Talk::outward();
        talk.comes_to_nothing("refused-port", |talk| {
            let line = format!("PORT 10,0,0,7,{high},{low}\r\n");
            assert_eq!(talk.client(&line), line);
            talk.server("200 as you wish\r\n");
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", &format!("203.0.113.2:{port}"));
    }
}
