//! The line names an address that is no host's.

use super::Talk;

#[test]
fn what_is_no_host_is_never_announced() {
    for line in [
        "PORT 127,0,0,1,200,10\r\n",
        "PORT 0,0,0,0,200,10\r\n",
        "PORT 255,255,255,255,200,10\r\n",
        "PORT 224,0,0,1,200,10\r\n",
        "PORT 10,0,0,255,200,10\r\n",
        "PORT 169,254,1,1,200,10\r\n",
        "EPRT |1|127.0.0.1|51210|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("no-host", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
