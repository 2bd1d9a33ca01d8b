//! A client that has promised EPSV and nothing else.

use super::Talk;

#[test]
fn after_epsv_all_nothing_else_opens_anything() {
    let mut talk = Talk::outward();
    talk.client("EPSV ALL\r\n");
    talk.server("200 fine\r\n");
    for line in [
        "PORT 10,0,0,7,200,10\r\n",
        "EPRT |1|10.0.0.7|51210|\r\n",
        "PASV\r\n",
    ] {
        talk.comes_to_nothing("after-epsv-all", |talk| {
            assert_eq!(talk.client(line), line);
            talk.server("200 as you wish\r\n");
        });
    }
}
