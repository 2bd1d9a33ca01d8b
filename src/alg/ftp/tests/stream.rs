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
fn t_1123_stream__a_line_cut_anywhere_is_rewritten_as_if_whole() {
    for (asked, by, line, becomes) in [
        (
            "",
            CLIENT,
            "PORT 10,0,0,7,200,10\r\n",
            "PORT 203,0,113,2,156,64\r\n",
        ),
        (
            "",
            CLIENT,
            "EPRT |1|10.0.0.7|51210|\r\n",
            "EPRT |1|203.0.113.2|40000|\r\n",
        ),
        (
            "PASV\r\n",
            SERVER,
            "227 Mode 2 (10,0,9,21,200,10).\r\n",
            "227 Mode 2 (203,0,113,2,156,64).\r\n",
        ),
        (
            "EPSV\r\n",
            SERVER,
            "229 Mode (|||51210|)\r\n",
            "229 Mode (|||40000|)\r\n",
        ),
    ] {
        for cut in 1..line.len() {
            let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
            dialogue.client(asked);
            let (first, second) = line.split_at(cut);
            let heard = [first, second].map(|part| dialogue.passes(by, part));
            assert_eq!(heard.concat(), becomes, "cut at {cut}");
            assert_eq!(dialogue.opened().len(), 1, "cut at {cut}");
            // Only the endpoint waits, or part of it.
            let verb = first.len().min(if by == CLIENT { 5 } else { 9 });
            assert!(heard[0].starts_with(&line[..verb]), "cut at {cut}");
        }
    }
}

#[test]
fn nothing_but_an_endpoint_that_will_have_to_be_rewritten_waits() {
    let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
    for part in [
        "USE",
        "R x\r",
        "\nPO",
        "RT",
        " ",
        "\r\nSITE PORT 10,0",
        "\r\n",
        "LPRT 4,4",
    ] {
        assert_eq!(dialogue.client(part), part);
    }
    // No PASV has asked for it.
    for part in [
        "227 Mode (10,0,9",
        ",21,200,10)\r\n",
        "230-x\r\n227 (1",
        "\r\n230 x\r\n",
    ] {
        assert_eq!(dialogue.server(part), part);
    }
    // Nor where nothing is translated.
    let mut dialogue = Dialogue::v4();
    assert_eq!(dialogue.client("PASV\r\nPORT 10,0"), "PASV\r\nPORT 10,0");
    assert_eq!(dialogue.server("227 Mode (10,0,9"), "227 Mode (10,0,9");
    // Nor what is encrypted.
    let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
    dialogue.client("AUTH TLS\r\n");
    dialogue.server("234 go on\r\n");
    assert_eq!(dialogue.client("PORT 10,0"), "PORT 10,0");
}

#[test]
fn of_a_reply_that_began_before_it_was_asked_for_the_rest_waits() {
    // However it is cut, the endpoint that came behind the PASV counts.
    let rest = "(10,0,9,21,200,10)\r\n";
    for cut in 0..rest.len() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        assert_eq!(dialogue.server("227 (1,2, "), "227 (1,2, ");
        dialogue.client("PASV\r\n");
        let heard = [&rest[..cut], &rest[cut..]].map(|part| dialogue.server(part));
        assert_eq!(heard.concat(), "(203,0,113,2,156,64)\r\n", "cut at {cut}");
        assert_eq!(dialogue.opened(), ["10.0.9.21:51210"]);
    }
}

#[test]
fn t_ftp_hold__a_line_that_can_no_longer_be_an_announcement_is_let_go() {
    for rest in ["\n", "\rx", "\u{1}", &"1".repeat(512)] {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        assert_eq!(dialogue.client("PORT 10,0"), "PORT ");
        assert_eq!(dialogue.client(rest), format!("10,0{rest}"));
        assert_eq!(dialogue.client(",\r\nNOOP\r\n"), ",\r\nNOOP\r\n");
        assert_eq!(dialogue.opened(), [""; 0]);
    }
}

#[test]
fn t_854_iac__a_command_behind_telnet_sequences_is_read_and_they_stay() {
    let sent = b"\xff\xf4\xff\xf2PORT 10,0,0,7,200,10\r\n";
    for cut in 0..sent.len() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        let (first, second) = sent.split_at(cut);
        let mut heard: Vec<u8> = Vec::new();
        for part in [first, second] {
            let (inspection, leaves) = dialogue.read(CLIENT, part);
            heard.extend(edited_octets(&leaves, &inspection.edits));
        }
        assert_eq!(
            heard, b"\xff\xf4\xff\xf2PORT 203,0,113,2,156,64\r\n",
            "{cut}"
        );
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210"], "{cut}");
    }
}

#[test]
fn t_854_iac_in__a_telnet_sequence_within_an_endpoint_opens_nothing() {
    for (asked, by, before, after) in [
        ("", CLIENT, "PORT 10,0,", "0,7,200,10\r\n"),
        ("", CLIENT, "EPRT |1|10.0.", "0.7|51210|\r\n"),
        ("PASV\r\n", SERVER, "227 (10,0,9,", "21,200,10)\r\n"),
        ("EPSV\r\n", SERVER, "229 (|||51", "210|)\r\n"),
    ] {
        for sequence in [&b"\xff\xf4"[..], b"\xff\xfb\x01", b"\xff\xff", b"\xff"] {
            for cut in 0..=sequence.len() {
                let mut dialogue = Dialogue::v4();
                dialogue.client(asked);
                let first = [before.as_bytes(), &sequence[..cut]].concat();
                let second = [&sequence[cut..], after.as_bytes()].concat();
                dialogue.inspect(by, &first);
                dialogue.inspect(by, &second);
                assert_eq!(dialogue.opened(), [""; 0], "{before}");
                assert_eq!(dialogue.refusals(), [NotOpened::Malformed]);
            }
        }
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
