//! Other protocols that browsers can be made to speak, at port 21.

use super::Talk;

#[test]
fn what_speaks_another_protocol_is_let_go() {
    for first in [
        "REGISTER sip:x SIP/2.0\r\nContact: <sip:x@10.0.0.7:51210>\r\n",
        "\u{3}\0\u{1}\0\u{8}\u{2}\r\n",
        "EHLO x\r\n",
        "NICK x\r\nPRIVMSG y :\u{1}DCC SEND f 167772167 51210\u{1}\r\n",
    ] {
        let mut talk = Talk::greeted();
        talk.comes_to_nothing("not-ftp", |talk| {
            talk.client(first);
            talk.server("230 welcome\r\n");
            talk.client("PORT 10,0,0,7,200,10\r\n");
            talk.server("200 as you wish\r\n");
        });
    }
}
