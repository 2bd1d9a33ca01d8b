//! The FTP bounce (RFC 2577 section 3): the client has the server connect to a third host.

use super::Talk;

#[test]
fn a_stranger_is_never_announced() {
    for line in [
        "PORT 198,51,100,66,0,25\r\n",
        "PORT 198,51,100,66,200,10\r\n",
        "PORT 192,0,2,9,200,10\r\n",
        "EPRT |1|198.51.100.66|51210|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("third-party", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
