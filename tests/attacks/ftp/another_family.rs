//! The client's address in the clothes of another family.

use super::Talk;

#[test]
fn an_address_of_another_family_is_never_opened() {
    for line in [
        "EPRT |2|::ffff:10.0.0.7|51210|\r\n",
        "EPRT |2|2001:db8:10::7|51210|\r\n",
    ] {
        let mut talk = Talk::outward();
        talk.comes_to_nothing("other-family", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
