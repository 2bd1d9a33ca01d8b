//! The line names the gateway itself.

use super::Talk;

#[test]
fn the_gateway_is_never_announced() {
    for line in [
        "PORT 203,0,113,2,200,10\r\n",
        "PORT 10,0,0,1,200,10\r\n",
        "EPRT |1|10.0.9.1|51210|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("gateway", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
