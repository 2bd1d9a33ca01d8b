//! NAT slipstreaming: a browser posts a form to port 21, with commands in its body.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_slip_first__a_form_is_no_dialogue_however_well_the_server_plays_along() {
    for request in [
        "POST / HTTP/1.1\r\nHost: evil.example:21\r\nContent-Length: 99\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil.example:21\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut talk = Talk::greeted();
        talk.comes_to_nothing("not-ftp", |talk| {
            assert_eq!(talk.client(request), request);
            talk.client("USER x\r\n");
            talk.server("331 and?\r\n");
            talk.client("PASS x\r\n");
            talk.server("230 welcome\r\n");
            let line = "PORT 10,0,0,7,200,10\r\n";
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
            talk.client("PASV\r\n");
            talk.server("227 (198,51,100,21,200,10)\r\n");
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
