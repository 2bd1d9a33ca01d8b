//! What the gateway tells a service manager, which is played here.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, office};

const PROGRAMS: &[&str] = &["ping", "kill"];

/// Reads what is told until it has been this.
fn hear(socket: &UnixDatagram, what: &str) -> Vec<String> {
    let mut heard = Vec::new();
    let mut buffer = [0; 512];
    for _ in 0..100 {
        let length = socket.recv(&mut buffer).expect("something is told");
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let is_that = said.lines().any(|line| line == what);
        heard.push(said);
        if is_that {
            return heard;
        }
    }
    panic!("never told {what}: {heard:?}");
}

#[test]
fn a_service_manager_hears_that_packets_pass_that_it_lives_reloads_and_stops() {
    let test = "service::a_service_manager_hears_that_packets_pass_that_it_lives_reloads_and_stops";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let place = lab.dir.path("notify");
        let socket = UnixDatagram::bind(&place).unwrap();
        let patience = Some(Duration::from_secs(10));
        socket.set_read_timeout(patience).unwrap();
        let notify = place.display().to_string();
        let told = [("NOTIFY_SOCKET", &*notify), ("WATCHDOG_USEC", "400000")];
        let mut gateway = lab.start_gateway_told(&office(), &told);
        let heard = hear(&socket, "READY=1");
        assert_eq!(heard.len(), 1, "{heard:?}");
        hear(&socket, "WATCHDOG=1");
        hear(&socket, "WATCHDOG=1");
        gateway.signal("HUP");
        hear(&socket, "RELOADING=1");
        hear(&socket, "READY=1");
        hear(&socket, "WATCHDOG=1");
        gateway.signal("TERM");
        hear(&socket, "STOPPING=1");
        assert!(gateway.wait().success());
    });
}
