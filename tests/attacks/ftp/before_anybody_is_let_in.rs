//! Announcements before the greeting, and before the login.

use super::Talk;
use crate::lab::WAN;

#[test]
fn t_slip_greet__nothing_opens_before_the_login() {
    let mut talk = Talk::connected();
    talk.comes_to_nothing("before-login", |talk| {
        talk.client("PORT 10,0,0,7,200,10\r\n");
        talk.server("200 as you wish\r\n");
    });
    talk.server("220 ready\r\n");
    talk.comes_to_nothing("before-login", |talk| {
        talk.client("PASV\r\n");
        talk.server("530 log in\r\n");
    });
    talk.client("USER x\r\n");
    talk.server("331 and?\r\n");
    talk.client("PASS wrong\r\n");
    talk.server("530 no\r\n");
    talk.comes_to_nothing("before-login", |talk| {
        talk.client("PORT 10,0,0,7,200,10\r\n");
        talk.server("200 as you wish\r\n");
    });
    talk.knocks_in_vain(WAN, "198.51.100.21:20", "203.0.113.2:51210");
}
