//! Lines in pieces, and several in one piece.

use super::*;

const TO_OUTSIDE: &str = "203.0.113.2:40000";

#[test]
fn t_1123_stream__a_line_cut_anywhere_is_read_without_translation() {
    let line = "PORT 10,0,0,7,200,10\r\n";
    for cut in 1..line.len() {
        let mut dialogue = Dialogue::v4();
        let (first, second) = line.split_at(cut);
        assert_eq!(dialogue.client(first), first);
        assert_eq!(dialogue.client(second), second);
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210"], "cut at {cut}");
    }
}

#[test]
fn a_line_cut_before_its_endpoint_can_be_rewritten() {
    let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
    assert_eq!(dialogue.client("PORT "), "PORT ");
    assert_eq!(
        dialogue.client("10,0,0,7,200,10\r\n"),
        "203,0,113,2,156,64\r\n"
    );
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn a_line_cut_within_or_behind_its_endpoint_opens_nothing_if_translated() {
    let line = "PORT 10,0,0,7,200,10\r\n";
    for cut in 6..line.len() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        let (first, second) = line.split_at(cut);
        assert_eq!(dialogue.client(first), first);
        let why = NotOpened::NoHole(NoHole::NeedsRewrite);
        assert_opens_nothing(&mut dialogue, CLIENT, second, why);
    }
}

#[test]
fn a_229_whose_port_has_left_needs_that_port_only() {
    for (translated, opened) in [("203.0.113.2:51210", 1), ("203.0.113.2:51211", 0)] {
        let mut dialogue = Dialogue::v4().translated_to(translated);
        dialogue.client("EPSV\r\n");
        dialogue.server("229 ok (|||51210|)");
        dialogue.server("\r\n");
        assert_eq!(dialogue.opened().len(), opened, "{translated}");
    }
}

#[test]
fn t_1123_byte__one_octet_at_a_time_reads_the_same() {
    let mut dialogue = Dialogue::v4();
    for octet in "NOOP\r\nport 10,0,0,7,200,10\r\nPASV\r\n".chars() {
        dialogue.client(&octet.to_string());
    }
    for octet in "200 ok\r\n227 Mode (10,0,9,21,200,11).\r\n".chars() {
        dialogue.server(&octet.to_string());
    }
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210", "10.0.9.21:51211"]);
}

#[test]
fn t_1123_pipe__every_line_of_a_segment_is_handled_in_order() {
    let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
    assert_eq!(
        dialogue
            .client("NOOP\r\nPORT 10,0,0,7,200,10\r\nLIST\r\nEPRT |1|10.0.0.7|2000|\r\nRETR a\r\n"),
        "NOOP\r\nPORT 203,0,113,2,156,64\r\nLIST\r\nEPRT |1|203.0.113.2|40000|\r\nRETR a\r\n"
    );
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210", "10.0.0.7:2000"]);
}

#[test]
fn one_chunk_has_no_more_edits_than_a_stream_can_remember() {
    let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
    let lines = "PORT 10,0,0,7,200,10\r\n".repeat(MAX_EDITS + 1);
    let inspection = dialogue.inspect(CLIENT, lines.as_bytes());
    assert_eq!(inspection.edits.len(), MAX_EDITS);
    assert_eq!(dialogue.opened().len(), MAX_EDITS);
}

#[test]
fn t_slip_anchor__after_a_gap_nothing_is_read_before_a_line_end() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("NO");
    dialogue.alg.skipped(CLIENT);
    dialogue.client("PORT 10,0,0,7,200,10\r\n");
    assert_eq!(dialogue.opened(), [""; 0]);
    dialogue.client("PORT 10,0,0,7,200,11\r\n");
    assert_eq!(dialogue.opened(), ["10.0.0.7:51211"]);
}

#[test]
fn after_a_gap_in_the_replies_nothing_is_awaited() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\n");
    dialogue.server("230-Wel");
    dialogue.alg.skipped(SERVER);
    dialogue.server("come\r\n");
    let reply = "227 (10,0,9,21,200,10)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
}

#[test]
fn a_clone_decides_without_a_trace_in_the_original() {
    let mut dialogue = Dialogue::v4();
    let mut decided = dialogue.alg.boxed_clone();
    let chunk = Chunk {
        direction: CLIENT,
        seq: SeqNumber(1),
        bytes: b"PASV\r\n",
    };
    decided.inspect(chunk, &mut dialogue.desk);
    let reply = "227 (10,0,9,21,200,10)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
}
