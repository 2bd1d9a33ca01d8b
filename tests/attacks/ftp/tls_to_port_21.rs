//! A TLS handshake to port 21, with commands among its octets.

use super::Talk;

#[test]
fn a_client_hello_is_no_command() {
    let mut talk = Talk::greeted();
    talk.comes_to_nothing("not-ftp", |talk| {
        let hello = "\u{16}\u{3}\u{1}\0\u{40}\u{1}\0\0\u{3c}\u{3}\u{3}\r\nUSER x\r\nPASS x\r\n";
        assert_eq!(talk.client(hello), hello);
        talk.server("331 and?\r\n230 welcome\r\n");
        talk.client("PORT 10,0,0,7,200,10\r\n");
        talk.server("200 as you wish\r\n");
    });
}
