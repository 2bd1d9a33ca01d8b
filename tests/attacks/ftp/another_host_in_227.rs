//! A hostile server sends its client to somebody else.

use super::Talk;

#[test]
fn t_slip_227__the_server_cannot_name_anybody_but_itself() {
    for (host, check) in [
        ("10,0,0,8", "third-party"),
        ("10,0,9,80", "third-party"),
        ("192,0,2,9", "third-party"),
        ("10,0,0,7", "third-party"),
        ("203,0,113,2", "gateway"),
        ("10,0,0,1", "gateway"),
        ("127,0,0,1", "no-host"),
    ] {
        let mut talk = Talk::outward();
        talk.client("PASV\r\n");
        talk.comes_to_nothing(check, |talk| {
            let reply = format!("227 Entering Passive Mode ({host},200,10)\r\n");
            assert_eq!(talk.server(&reply), reply);
        });
    }
}
