//! PASV and PORT without end.

use super::Talk;

#[test]
fn t_ftp_expire__a_control_session_has_one_hole_at_a_time() {
    let mut talk = Talk::outward();
    talk.client("PASV\r\n");
    talk.server("227 (198,51,100,21,156,64)\r\n");
    talk.settle();
    let sessions = talk.lab.table();
    for port in 0..1000_u16 {
        let [high, low] = (20_000 + port).to_be_bytes();
        talk.client("PASV\r\n");
        talk.server(&format!("227 (198,51,100,21,{high},{low})\r\n"));
        assert_eq!(talk.lab.expected().len(), 1);
    }
    // Asked for all at once, and answered by nobody.
    for _ in 0..20 {
        talk.client(&"PASV\r\n".repeat(50));
    }
    assert_eq!((talk.lab.expected().len(), talk.lab.table()), (1, sessions));
}
