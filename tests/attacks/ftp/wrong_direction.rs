//! A server that sends commands, and a client that sends replies.

use super::Talk;

#[test]
fn t_959_dir__commands_of_the_server_and_replies_of_the_client_open_nothing() {
    let mut talk = Talk::outward();
    talk.comes_to_nothing("", |talk| {
        talk.server("PORT 198,51,100,21,200,10\r\nEPRT |1|198.51.100.21|51210|\r\n");
        talk.client("PASV\r\n");
        talk.client("227 (10,0,0,7,200,10)\r\n229 (|||51210|)\r\n200 fine\r\n");
    });
}
