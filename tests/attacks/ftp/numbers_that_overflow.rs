//! Numbers that another reader takes modulo 256 or 65536.

use super::Talk;

#[test]
fn what_no_grammar_has_is_never_opened() {
    for line in [
        "PORT 10,0,0,7,300,10\r\n",
        "PORT 10,0,0,263,200,10\r\n",
        "PORT 10,0,0,7,200,4294967306\r\n",
        "PORT 10,0,0,7,200,10,1\r\n",
        "PORT 10,0,0,7,0,0\r\n",
        "PORT 012,0,0,7,0200,10\r\n",
        "EPRT |1|10.0.0.7|65536|\r\n",
        "EPRT |1|10.0.0.7|0|\r\n",
        "EPRT |1|167772167|51210|\r\n",
        "EPRT |1|10.0.0.7|51210|x|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("malformed", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
