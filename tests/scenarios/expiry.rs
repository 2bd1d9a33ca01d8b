//! The end of a session that nobody uses: what its ends are told, or asked.

use spigate::engine::{Event, Output, Reason};
use spigate::net::Timestamp;

use super::dialogue::{Dialogue, End};
use super::lab::{DMZ, LAN, Lab, Passed, WAN, moment};
use super::packets::{tcp, udp};
use super::policies::OFFICE;
use super::seen::Seen;
use super::wants::{drop_for, forward_to};

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.9:80";
const FTP: &str = "198.51.100.21:21";
const HOUR: f64 = 3600.0;

/// An office whose idle connections end after an hour, in this way.
fn office(on_expiry: &str) -> Lab {
    let timeouts = format!("[timeouts]\ntcp-established = \"1h\"\non-expiry = \"{on_expiry}\"\n");
    Lab::new(&format!("{OFFICE}\n{timeouts}"))
}

/// A connection in which both ends have said something and heard the other.
fn talk(lab: &mut Lab, server: &str) -> Dialogue {
    let mut dialogue = Dialogue::open(lab, 0.0, (LAN, CLIENT), server);
    dialogue.client_says(lab, 0.0, "a question");
    dialogue.server_says(lab, 0.0, "an answer that is longer");
    dialogue.client_says(lab, 0.0, "");
    dialogue
}

/// A segment that reached this end: in its own view, from the other.
fn reached<'a>(end: &End, made: &'a [(&'static str, Seen)]) -> &'a Seen {
    let mut own = made.iter().filter(|(zone, _)| *zone == end.zone);
    let (_, seen) = own
        .next()
        .unwrap_or_else(|| panic!("nothing to {}", end.zone));
    assert!(own.next().is_none(), "more than one to {}", end.zone);
    assert_eq!((&seen.source, &seen.destination), (&end.peer, &end.own));
    seen
}

/// Whether the segment is a reset that this end takes at once (RFC 5961 section
/// 3.2), and that acknowledges nothing which it has not sent.
fn assert_exact_reset(end: &End, made: &[(&'static str, Seen)]) {
    let header = reached(end, made).tcp();
    assert!(header.rst && header.ack && !header.syn && !header.fin);
    assert_eq!(header.sequence_number, end.awaits);
    assert_eq!(header.acknowledgment_number, end.next);
}

/// Whether the segment is a keep-alive that this end answers (RFC 1122 section
/// 4.2.3.6).
fn assert_keep_alive(end: &End, made: &[(&'static str, Seen)]) {
    let seen = reached(end, made);
    let header = seen.tcp();
    assert!(header.ack && !header.rst && !header.syn && !header.fin);
    assert_eq!(header.sequence_number, end.awaits.wrapping_sub(1));
    assert_eq!(header.acknowledgment_number, end.next);
    assert_eq!(seen.text(), "");
}

fn assert_ended(passed: &Passed, at: Timestamp) {
    match &passed.events[..] {
        [Event::Ended { at: ended, .. }] => assert_eq!(*ended, at),
        other => panic!("{other:?}"),
    }
}

/// The end answers, and nobody else hears of it.
fn answers(lab: &mut Lab, at: f64, end: &End) {
    let answered = lab.at(at).from(end.zone).send(end.segment());
    let _ = answered.expect(drop_for(Reason::ProbeAnswered).ct("established"));
}

#[test]
fn t_5382_s5_notify__both_ends_get_a_reset_with_exactly_the_number_that_they_await() {
    let mut lab = office("reset");
    let dialogue = talk(&mut lab, SERVER);
    assert!(lab.wait_until(HOUR - 1e-6).is_empty());
    let passed = lab.let_pass(HOUR);
    assert_ended(&passed, moment(HOUR));
    assert_eq!(passed.made.len(), 2);
    assert_exact_reset(&dialogue.client, &passed.made);
    assert_exact_reset(&dialogue.server, &passed.made);
    assert!(lab.table().is_empty());
}

#[test]
fn t_5382_s5_notify__in_a_changed_stream_each_end_is_told_in_its_own_numbers() {
    let mut lab = office("reset");
    let mut dialogue = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), FTP);
    dialogue.client_says(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    dialogue.server_says(&mut lab, 1.0, "200 PORT command successful.\r\n");
    dialogue.client_says(&mut lab, 1.0, "");
    assert_ne!(
        dialogue.client.next, dialogue.server.awaits,
        "the announcement has another length outside"
    );
    let passed = lab.let_pass(HOUR + 1.0);
    let told: usize = passed.events.iter().map(Event::packets).sum();
    assert_eq!(told, 2, "{:?}", passed.events);
    assert_exact_reset(&dialogue.client, &passed.made);
    assert_exact_reset(&dialogue.server, &passed.made);
}

#[test]
fn resets_follow_a_forward_and_leave_by_the_zones_of_their_ends() {
    let mut lab = office("reset");
    let mut dialogue = Dialogue::open(&mut lab, 0.0, (WAN, "198.51.100.9:40000"), "203.0.113.2:80");
    assert_eq!(dialogue.server.zone, DMZ);
    dialogue.server_says(&mut lab, 0.0, "welcome");
    dialogue.client_says(&mut lab, 0.0, "");
    let passed = lab.let_pass(HOUR);
    assert_exact_reset(&dialogue.client, &passed.made);
    assert_exact_reset(&dialogue.server, &passed.made);
}

#[test]
fn resets_are_sent_in_ipv6_too() {
    let mut lab = office("reset");
    let client = (LAN, "[2001:db8:10::7]:51000");
    let mut dialogue = Dialogue::open(&mut lab, 0.0, client, "[2001:db8:5::9]:80");
    dialogue.server_says(&mut lab, 0.0, "welcome");
    dialogue.client_says(&mut lab, 0.0, "");
    let passed = lab.let_pass(HOUR);
    assert_exact_reset(&dialogue.client, &passed.made);
    assert_exact_reset(&dialogue.server, &passed.made);
}

#[test]
fn what_is_not_established_ends_in_silence() {
    for on_expiry in ["reset", "probe"] {
        let mut lab = office(on_expiry);
        let _ = lab.at(0.0).from(LAN).send(tcp(CLIENT, SERVER).syn());
        let _ = lab.at(0.0).from(LAN).send(udp(CLIENT, SERVER));
        assert_eq!(lab.wait_until(HOUR).len(), 2);

        let mut lab = office(on_expiry);
        let dialogue = talk(&mut lab, SERVER);
        let fin = dialogue.client.segment().fin();
        let _ = lab.at(1.0).from(LAN).send(fin).expect(
            forward_to(WAN)
                .source("203.0.113.2:51000")
                .state("fin-wait"),
        );
        assert_eq!(lab.wait_until(HOUR).len(), 1);
    }
}

#[test]
fn nothing_is_sent_where_the_numbers_of_an_end_are_not_known() {
    for on_expiry in ["reset", "probe"] {
        let timeouts = format!("[timeouts]\npick-up = \"loose\"\non-expiry = \"{on_expiry}\"\n");
        let mut lab = Lab::new(&format!("{OFFICE}\n{timeouts}"));
        let ack = tcp(CLIENT, SERVER).seq(7_000).ack(9_000);
        let picked = lab.at(0.0).from(LAN).send(ack);
        let _ = picked.expect(forward_to(WAN).source("203.0.113.2:51000"));
        assert_eq!(lab.wait_until(HOUR).len(), 1);
    }
}

#[test]
fn both_ends_are_asked_and_if_both_answer_their_session_lives_on() {
    let mut lab = office("probe");
    let mut dialogue = talk(&mut lab, SERVER);
    for hour in [1.0, 2.0, 3.0] {
        // The answers come a second and two after the hour.
        let due = hour * HOUR + (hour - 1.0) * 2.0;
        let passed = lab.let_pass(due);
        assert!(matches!(passed.events[..], [Event::Probed { .. }]));
        assert_keep_alive(&dialogue.client, &passed.made);
        assert_keep_alive(&dialogue.server, &passed.made);
        answers(&mut lab, due + 1.0, &dialogue.server);
        assert_eq!(lab.session().deadline, moment(due + 20.0));
        answers(&mut lab, due + 2.0, &dialogue.client);
        assert_eq!(lab.session().deadline, moment(due + 2.0 + HOUR));
    }
    // Neither end noticed.
    dialogue.client_says(&mut lab, 4.0 * HOUR, "still there?");
    dialogue.server_says(&mut lab, 4.0 * HOUR, "I am");
}

#[test]
fn the_ends_of_a_changed_stream_are_asked_in_their_own_numbers() {
    let mut lab = office("probe");
    let mut dialogue = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), FTP);
    dialogue.client_says(&mut lab, 0.0, "PORT 10,0,0,7,200,10\r\n");
    dialogue.server_says(&mut lab, 0.0, "200 PORT command successful.\r\n");
    dialogue.client_says(&mut lab, 0.0, "");
    let passed = lab.let_pass(HOUR);
    assert_keep_alive(&dialogue.client, &passed.made);
    assert_keep_alive(&dialogue.server, &passed.made);
    answers(&mut lab, HOUR, &dialogue.server);
    answers(&mut lab, HOUR, &dialogue.client);
    assert_eq!(lab.session().deadline, moment(2.0 * HOUR));
}

#[test]
fn an_end_that_does_not_answer_is_asked_three_times_and_then_both_are_reset() {
    let mut lab = office("probe");
    let dialogue = talk(&mut lab, SERVER);
    let passed = lab.let_pass(HOUR);
    assert_eq!(passed.made.len(), 2);
    answers(&mut lab, HOUR + 1.0, &dialogue.client);
    for later in [20.0, 40.0] {
        let passed = lab.let_pass(HOUR + later);
        // Who has answered is not asked again.
        assert_eq!(passed.made.len(), 1);
        assert_keep_alive(&dialogue.server, &passed.made);
    }
    assert!(lab.wait_until(HOUR + 60.0 - 1e-6).is_empty());
    let passed = lab.let_pass(HOUR + 60.0);
    assert_ended(&passed, moment(HOUR + 60.0));
    assert_exact_reset(&dialogue.client, &passed.made);
    assert_exact_reset(&dialogue.server, &passed.made);
}

#[test]
fn an_end_that_answers_with_a_reset_ends_the_session_and_the_other_gets_it() {
    let mut lab = office("probe");
    let dialogue = talk(&mut lab, SERVER);
    let passed = lab.let_pass(HOUR);
    // It has no such connection: its reset has the number that it was sent.
    let asked = reached(&dialogue.server, &passed.made).tcp();
    let reset = tcp(&dialogue.server.own, &dialogue.server.peer).rst();
    let reset = reset.seq(asked.acknowledgment_number);
    let sent = lab.at(HOUR + 1.0).from(WAN).send(reset);
    let left = sent
        .expect(forward_to(LAN).destination(CLIENT).state("close"))
        .left();
    assert_eq!(left.tcp().sequence_number, dialogue.client.awaits);
}

#[test]
fn what_the_ends_say_to_each_other_passes_while_they_are_asked() {
    let mut lab = office("probe");
    let mut dialogue = talk(&mut lab, SERVER);
    let _ = lab.let_pass(HOUR);
    answers(&mut lab, HOUR + 1.0, &dialogue.server);
    dialogue.client_says(&mut lab, HOUR + 2.0, "by the way");
    // Nobody is asked any more, and so nobody's answers are kept.
    let late = lab.at(HOUR + 3.0).from(WAN).send(dialogue.server.segment());
    let _ = late.expect(forward_to(LAN).destination(CLIENT));
    assert_eq!(lab.session().deadline, moment(2.0 * HOUR + 3.0));
}

#[test]
fn a_second_answer_of_the_same_end_is_nobody_elses_answer() {
    let mut lab = office("probe");
    let dialogue = talk(&mut lab, SERVER);
    let _ = lab.let_pass(HOUR);
    answers(&mut lab, HOUR + 1.0, &dialogue.client);
    // It passes as what it is, and shows that its sender lives, no more.
    let again = lab.at(HOUR + 2.0).from(LAN).send(dialogue.client.segment());
    let _ = again.expect(forward_to(WAN).source("203.0.113.2:51000"));
}

#[test]
fn ends_that_use_time_stamps_are_asked_with_time_stamps() {
    let stamped = |own: u32, other: u32| {
        let option = [&[1, 1, 8, 10][..], &own.to_be_bytes(), &other.to_be_bytes()];
        option.concat()
    };
    let mut lab = office("probe");
    let outside = "203.0.113.2:51000";
    for (zone, segment) in [
        (
            LAN,
            tcp(CLIENT, SERVER)
                .syn()
                .seq(100)
                .tcp_options(&stamped(7000, 0)),
        ),
        (
            WAN,
            tcp(SERVER, outside)
                .syn()
                .seq(500)
                .ack(101)
                .tcp_options(&stamped(90, 7000)),
        ),
        (
            LAN,
            tcp(CLIENT, SERVER)
                .seq(101)
                .ack(501)
                .tcp_options(&stamped(7001, 90)),
        ),
        (
            WAN,
            tcp(SERVER, outside)
                .seq(501)
                .ack(101)
                .tcp_options(&stamped(95, 7001)),
        ),
    ] {
        assert!(lab.at(0.0).from(zone).send(segment).forwarded.is_some());
    }
    let passed = lab.let_pass(HOUR);
    for (zone, seen) in &passed.made {
        let (own, other) = if *zone == LAN { (95, 7001) } else { (7001, 95) };
        assert_eq!(seen.tcp().options.as_slice(), stamped(own, other));
    }
}

#[test]
fn time_in_one_step_or_in_many_ends_a_session_alike() {
    let run = |steps: &[f64]| {
        let mut lab = office("probe");
        let _ = talk(&mut lab, SERVER);
        let mut made = Vec::new();
        for step in steps {
            made.extend(lab.let_pass(*step).made);
        }
        assert!(lab.table().is_empty());
        made
    };
    let many: Vec<_> = (0u32..8000).map(f64::from).collect();
    assert_eq!(run(&[8000.0]), run(&many));
    assert_eq!(run(&[8000.0]).len(), 8);
}

/// Twenty connections that run out at the same moment, where four segments may
/// be sent at a time, and ten a second.
fn crowd(on_expiry: &str) -> (Lab, Vec<Dialogue>) {
    let timeouts = format!("[timeouts]\ntcp-established = \"1h\"\non-expiry = \"{on_expiry}\"\n");
    let limits = "[limits]\nresets-per-second = 10\nresets-burst = 4\n";
    let mut lab = Lab::new(&format!("{OFFICE}\n{timeouts}{limits}"));
    let talks = (0..20).map(|n| {
        let client = format!("10.0.0.7:{}", 51_000 + n);
        let mut dialogue = Dialogue::open(&mut lab, 0.0, (LAN, &client), SERVER);
        dialogue.client_says(&mut lab, 0.0, "a question");
        dialogue.server_says(&mut lab, 0.0, "an answer");
        dialogue.client_says(&mut lab, 0.0, "");
        dialogue
    });
    let talks = talks.collect();
    (lab, talks)
}

#[test]
fn t_5961_s7__sessions_that_expire_together_are_told_one_after_the_other() {
    let (mut lab, _) = crowd("reset");
    assert!(lab.let_pass(HOUR - 1e-6).made.is_empty());
    let first = lab.let_pass(HOUR);
    assert_eq!(first.made.len(), 4, "the burst");
    assert_eq!(lab.table().len(), 18);
    let mut told = first.made.len();
    for step in 1..=35 {
        let passed = lab.let_pass(HOUR + f64::from(step) / 10.0);
        assert!(passed.made.len() <= 2);
        told += passed.made.len();
        assert!(told <= 4 + usize::try_from(step).unwrap() + 1);
    }
    assert_eq!(told, 40, "nobody is left out");
    assert!(lab.table().is_empty());
}

#[test]
fn t_5961_s7__they_are_asked_one_after_the_other_too() {
    let (mut lab, _) = crowd("probe");
    assert_eq!(lab.let_pass(HOUR).made.len(), 4);
    assert_eq!(lab.table().len(), 20);
    assert_eq!(lab.let_pass(HOUR + 3.55).made.len(), 36);
}

#[test]
fn a_session_that_waits_for_its_turn_goes_on_if_anything_of_it_passes() {
    let (mut lab, talks) = crowd("reset");
    let _ = lab.let_pass(HOUR);
    let waiting = &talks[19];
    // No keep-alive of ours was sent that it could answer.
    let _ = lab.let_pass(HOUR + 0.5);
    let sent = lab.at(HOUR + 0.5).from(LAN).send(waiting.client.segment());
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:51019"));
    let _ = lab.let_pass(HOUR + 60.0);
    assert_eq!(lab.table().len(), 1);
    let passed = lab.let_pass(2.0 * HOUR + 0.5);
    assert_eq!(passed.made.len(), 2);
    assert!(lab.table().is_empty());
}

#[test]
fn waiting_for_a_turn_in_one_step_or_in_many_ends_alike() {
    let all = |steps: &[f64]| {
        let (mut lab, _) = crowd("reset");
        let mut ended = Vec::new();
        for at in steps {
            ended.extend(
                lab.let_pass(HOUR + at)
                    .events
                    .iter()
                    .map(|e| format!("{e:?}")),
            );
        }
        ended
    };
    let many: Vec<_> = (0..=400).map(|n| f64::from(n) / 100.0).collect();
    assert_eq!(all(&[4.0]), all(&many));
}

/// A shell sleeps until the moment that it is told; if nothing moved on then, it would
/// never sleep again.
#[test]
fn whoever_wakes_when_told_is_told_a_later_moment() {
    let mut lab = Lab::new(OFFICE);
    for (number, server) in [SERVER, FTP, "198.51.100.9:443"].into_iter().enumerate() {
        // Moments that lie unevenly between the wheel's ticks.
        let at = number as f64 * 1.234_567;
        let _ = lab.at(at).from(LAN).send(tcp(CLIENT, server).syn());
        let _ = lab.at(at).from(LAN).send(udp(CLIENT, server).data("?"));
    }
    assert_sleeps_well(&mut lab);
}

/// A session that lived for days waits for an acknowledgement, and lives for minutes.
#[test]
fn so_is_who_sleeps_while_a_session_comes_to_live_for_less_long() {
    let mut lab = Lab::new(OFFICE);
    let established = |lab: &mut Lab| {
        let opens = tcp(CLIENT, SERVER).window(40_000);
        let answers = tcp(SERVER, "203.0.113.2:51000").window(40_000);
        let _ = lab.at(0.1).from(LAN).send(opens.clone().syn().seq(999));
        let _ = lab
            .at(0.2)
            .from(WAN)
            .send(answers.syn().seq(4999).ack(1000));
        let _ = lab
            .at(0.3)
            .from(LAN)
            .send(opens.clone().seq(1000).ack(5000));
        opens.seq(1000).ack(5000)
    };
    let speaks = established(&mut lab).data("are you there?");
    let later = lab
        .engine
        .now()
        .after(std::time::Duration::from_secs(4_000));
    lab.engine.expire(later, &mut Output::default());
    let _ = lab.at(4_000.5).from(LAN).send(speaks);
    assert!(
        lab.engine.counters().in_full_swing() > 0,
        "by the short way"
    );
    assert_sleeps_well(&mut lab);
}

/// Whoever wakes when the engine says so is told a later moment, until nothing is left.
fn assert_sleeps_well(lab: &mut Lab) {
    let mut woken = 0;
    let mut out = Output::default();
    while let Some(next) = lab.engine.next_deadline() {
        lab.engine.expire(next, &mut out);
        assert_ne!(lab.engine.next_deadline(), Some(next), "woken for nothing");
        woken += 1;
    }
    assert!(woken < 100, "{woken}");
    assert_eq!(lab.engine.sessions().len(), 0);
}

#[test]
fn whoever_waits_for_the_next_look_does_not_wait_in_vain() {
    let mut lab = Lab::new(OFFICE);
    // At some distance from where the timer wheel began.
    for (at, port) in [(0.0, 51_000), (7.3, 51_001), (7.4, 51_002)] {
        let client = format!("10.0.0.7:{port}");
        let _ = lab.at(at).from(LAN).send(udp(&client, SERVER));
    }
    let mut out = Output::default();
    let mut looks = 0;
    while let Some(at) = lab.engine.next_deadline() {
        let _ = lab.engine.expire(at, &mut out);
        let next = lab.engine.next_deadline();
        assert!(next.is_none_or(|next| next > at), "told of {at} again");
        looks += 1;
    }
    assert!(lab.engine.sessions().is_empty());
    assert!(looks < 50, "it was looked {looks} times");
}
