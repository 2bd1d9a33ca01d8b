//! Octets under TLS that look like commands.

use super::Talk;
use crate::lab::WAN;

#[test]
fn what_is_encrypted_is_never_read() {
    let mut talk = Talk::outward();
    talk.client("AUTH TLS\r\n");
    talk.server("234 go\r\n");
    talk.comes_to_nothing("", |talk| {
        for text in ["\r\nPORT 10,0,0,7,200,10\r\n", "PASV\r\n"] {
            assert_eq!(talk.client(text), text);
        }
        talk.server("200 as you wish\r\n227 (198,51,100,21,200,10)\r\n");
    });
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
}
