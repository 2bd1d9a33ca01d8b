//! Many control sessions, each with an announcement: the table of holes is bounded.

use super::SERVER;
use crate::dialogue::Dialogue;
use crate::lab::{LAN, Lab};
use crate::policies::OFFICE;

#[test]
fn t_ftp_expire__all_together_have_no_more_holes_than_the_file_allows() {
    let mut lab = Lab::new(&format!("{OFFICE}\n[limits]\nexpectations = 10\n"));
    for host in 2..40 {
        let client = format!("10.0.0.{host}:51000");
        let mut ends = Dialogue::ftp(&mut lab, 1.0, (LAN, &client), SERVER);
        ends.announces(&mut lab, 1.0, &format!("PORT 10,0,0,{host},200,10\r\n"));
        assert!(lab.expected().len() <= 10);
    }
    assert_eq!(lab.expected().len(), 10);
    let refused: Vec<_> = lab.engine.counters().not_opened().collect();
    assert_eq!(refused, [("limit", 28)]);
}
