//! A hole that is kept for when its control session is gone.

use super::Talk;
use crate::lab::{LAN, WAN};

#[test]
fn t_959_rein__a_hole_ends_with_its_session_however_that_ends() {
    for end in ["QUIT", "REIN", "FIN", "server's FIN", "RST"] {
        let mut talk = Talk::outward();
        talk.client("PORT 10,0,0,7,200,10\r\n");
        talk.server("200 fine\r\n");
        talk.settle();
        assert_eq!(talk.lab.expected().len(), 1);
        let client = talk.ends.client.segment();
        let server = talk.ends.server.segment();
        match end {
            "QUIT" => {
                talk.client("QUIT\r\n");
                talk.server("221 bye\r\n");
            }
            "REIN" => {
                talk.client("REIN\r\n");
                talk.server("220 ready\r\n");
            }
            "FIN" => assert!(
                talk.lab
                    .at(1.0)
                    .from(LAN)
                    .send(client.fin())
                    .forwarded
                    .is_some()
            ),
            "RST" => assert!(
                talk.lab
                    .at(1.0)
                    .from(LAN)
                    .send(client.rst())
                    .forwarded
                    .is_some()
            ),
            _ => assert!(
                talk.lab
                    .at(1.0)
                    .from(WAN)
                    .send(server.fin())
                    .forwarded
                    .is_some()
            ),
        }
        assert!(talk.lab.expected().is_empty(), "{end}");
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
