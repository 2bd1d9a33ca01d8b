//! NAT slipstreaming, version 2: the line names another inside host than its sender.

use super::Talk;
use crate::lab::WAN;

#[test]
fn another_inside_host_is_never_announced() {
    for line in [
        "PORT 10,0,0,8,200,10\r\n",
        "PORT 10,0,9,80,31,155\r\n",
        "EPRT |1|10.0.0.8|51210|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("third-party", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
        for port in ["51210", "8091"] {
            talk.knocks_in_vain(WAN, "198.51.100.21:20", &format!("203.0.113.2:{port}"));
        }
    }
}
