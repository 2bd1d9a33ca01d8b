//! A hostile server names a port that is no data port.

use super::Talk;

#[test]
fn t_slip_227__no_port_of_a_service_is_opened_for_the_client() {
    for (reply, check) in [
        ("227 (198,51,100,21,0,22)\r\n", "privileged-port"),
        ("229 (|||22|)\r\n", "privileged-port"),
        ("229 (|||3389|)\r\n", "refused-port"),
    ] {
        let mut talk = Talk::outward();
        talk.client("PASV\r\n");
        talk.comes_to_nothing(check, |talk| {
            assert_eq!(talk.server(reply), reply);
        });
    }
}
