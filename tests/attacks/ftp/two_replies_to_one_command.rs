//! One PASV, and a server that answers twice.

use super::Talk;

#[test]
fn the_second_reply_opens_nothing() {
    let mut talk = Talk::outward();
    talk.client("PASV\r\n");
    talk.server("227 (198,51,100,21,200,10)\r\n");
    assert_eq!(talk.lab.expected().len(), 1);
    talk.comes_to_nothing("unasked", |talk| {
        talk.server("227 (198,51,100,21,200,11)\r\n");
    });
}
