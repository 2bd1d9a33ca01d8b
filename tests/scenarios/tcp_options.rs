//! What tracking reads of TCP options, and what it does not.

use super::lab::{LAN, Lab, WAN};
use super::policies::OFFICE;
use super::tcp_life::{from_client, from_server, pass};

#[test]
fn a_repeated_syn_without_options_leaves_what_the_first_one_said() {
    let mut lab = Lab::new(OFFICE);
    let syn = from_client().syn().seq(100).tcp_options(&[3, 3, 7, 1]);
    pass(&mut lab, 0.0, LAN, syn, "syn-sent");
    pass(&mut lab, 1.0, LAN, from_client().syn().seq(200), "syn-sent");
    let syn_ack = from_server().syn().seq(500).ack(201);
    let syn_ack = syn_ack.tcp_options(&[3, 3, 7, 1]).window(1000);
    pass(&mut lab, 1.0, WAN, syn_ack, "syn-recv");
    let ack = from_client().seq(201).ack(501).window(1000);
    pass(&mut lab, 1.0, LAN, ack, "established");
    // A thousand, scaled by seven bits.
    let far = from_server().seq(128_000).ack(201).data("x");
    pass(&mut lab, 1.0, WAN, far, "established");
}

#[test]
fn the_first_whole_sack_option_counts() {
    let permitted = [4, 2, 1, 1];
    let block = |right: u32| [&(right - 1).to_be_bytes()[..], &right.to_be_bytes()].concat();
    let of = |parts: &[&[u8]]| parts.concat();
    // What was never sent is acknowledged by the second option, or by one whose
    // length is wrong: that says nothing.
    for options in [
        of(&[&[5, 10], &block(101), &[5, 10], &block(90_000)]),
        of(&[&[5, 14], &block(90_000), &90_000u32.to_be_bytes(), &[1, 1]]),
    ] {
        let mut lab = Lab::new(OFFICE);
        let syn = from_client().syn().seq(100).tcp_options(&permitted);
        pass(&mut lab, 0.0, LAN, syn, "syn-sent");
        let syn_ack = from_server().syn().seq(500).ack(101);
        pass(
            &mut lab,
            0.0,
            WAN,
            syn_ack.tcp_options(&permitted),
            "syn-recv",
        );
        let ack = from_client().seq(101).ack(501);
        pass(&mut lab, 0.0, LAN, ack, "established");
        let sack = from_server().seq(501).ack(101).tcp_options(&options);
        pass(&mut lab, 1.0, WAN, sack, "established");
    }
}
