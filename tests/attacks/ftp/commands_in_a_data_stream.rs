//! A file whose octets are commands and replies.

use super::Talk;
use crate::dialogue::Dialogue;
use crate::lab::{LAN, WAN};

#[test]
fn a_data_session_is_read_by_nobody() {
    let mut talk = Talk::outward();
    talk.client("PASV\r\n");
    talk.server("227 (198,51,100,21,156,64)\r\n");
    let client = (LAN, "10.0.0.7:51001");
    let mut data = Dialogue::open(&mut talk.lab, 1.0, client, "198.51.100.21:40000");
    talk.settle();
    let before = talk.lab.expected();
    for text in [
        "220 ready\r\n230 in\r\n227 (198,51,100,21,200,10)\r\n",
        "PORT 10,0,0,7,200,10\r\nPASV\r\n",
        "200 fine\r\n227 (198,51,100,21,200,10)\r\n",
    ] {
        assert_eq!(data.client_says(&mut talk.lab, 1.0, text), text);
        assert_eq!(data.server_says(&mut talk.lab, 1.0, text), text);
    }
    assert_eq!(talk.lab.expected(), before);
    assert_eq!(talk.lab.table().len(), 2);
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
}
