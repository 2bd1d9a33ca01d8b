//! A server says where it waits, and nobody has asked.

use super::Talk;

#[test]
fn a_reply_to_nothing_opens_nothing() {
    for reply in ["227 (198,51,100,21,200,10)\r\n", "229 (|||51210|)\r\n"] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("unasked", |talk| {
            assert_eq!(talk.server(reply), reply);
        });
        talk.client("NOOP\r\n");
        talk.comes_to_nothing("unasked", |talk| {
            talk.server(reply);
        });
    }
}
