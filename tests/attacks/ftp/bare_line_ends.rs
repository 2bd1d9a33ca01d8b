//! Command smuggling: a lone LF or CR, at which the server may see another line than the gateway.

use super::Talk;
use crate::lab::WAN;

#[test]
fn a_line_that_others_may_read_as_two_opens_nothing() {
    for text in [
        "NOOP\nPORT 10,0,0,7,200,10\r\n",
        "NOOP\rPORT 10,0,0,7,200,10\r\n",
        "PORT 10,0,0,7,200,10\nNOOP\r\n",
        "PORT 10,0,0,7,200,10\n",
        "STAT \0\nPORT 10,0,0,7,200,10\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("", |talk| {
            assert_eq!(talk.client(text), text);
            talk.server("200 as you wish\r\n");
        });
        talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
    }
}
