//! NAT slipstreaming: the server offers a tiny segment size, so that the browser's octets come a few at a time.

use super::Talk;

#[test]
fn t_slip_mss__a_form_in_tiny_segments_is_a_form() {
    for size in [1, 2, 4, 7, 40] {
        let mut talk = Talk::greeted();
        talk.comes_to_nothing("not-ftp", |talk| {
            let form = "POST / HTTP/1.1\r\n\r\nPORT 10,0,0,7,200,10\r\n";
            for piece in form.as_bytes().chunks(size) {
                talk.client(std::str::from_utf8(piece).unwrap());
            }
            talk.server("230 welcome\r\n200 as you wish\r\n");
        });
    }
}
