//! AUTH and what follows it.

use super::*;

#[test]
fn t_4217_auth__from_auth_on_nothing_opens_and_after_234_nothing_is_read() {
    for (auth, answer) in [
        ("AUTH TLS", "234 go"),
        ("auth tls-c", "234 go"),
        ("AUTH SSL", "234 go"),
        ("AUTH GSSAPI", "334 ADAT must follow"),
    ] {
        let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
        dialogue.client(&format!("{auth}\r\n"));
        let port = "PORT 10,0,0,7,200,10\r\n";
        assert_opens_nothing(&mut dialogue, CLIENT, port, NotOpened::AfterAuth);
        let text = format!("{answer}\r\n500 not read\r\n");
        assert_eq!(dialogue.server(&text), text);
        assert_eq!(dialogue.notes.last(), Some(&Note::Encrypted));
        dialogue.notes.clear();
        assert_eq!(dialogue.client(port), port);
        dialogue.client("PASV\r\n");
        dialogue.server("227 (10,0,9,21,200,10)\r\n");
        assert_eq!(dialogue.notes, []);
        assert_eq!(dialogue.opened(), [""; 0]);
    }
}

#[test]
fn t_4217_auth_no__after_a_refused_auth_all_is_as_before() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("AUTH TLS\r\n");
    dialogue.server("534 no\r\n");
    dialogue.client("PORT 10,0,0,7,200,10\r\n");
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn t_4217_noblock__auth_and_its_offer_pass() {
    let mut dialogue = Dialogue::v4();
    let feat = "211-Features:\r\n AUTH TLS\r\n211 End\r\n";
    assert_eq!(dialogue.server(feat), feat);
    assert_eq!(dialogue.client("AUTH TLS\r\n"), "AUTH TLS\r\n");
}
