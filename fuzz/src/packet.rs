//! One packet, from its IP header on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use spigate::net::{Endpoint, Family, Port, Tuple};
use spigate::packet::{
    Complaint, Fragment, Headers, Transport, decrement_ttl, echo_reply, icmp_error, quoted,
    repair_checksums, replace_payload, reset, translate, translate_error,
};

/// It is read or refused; what is read can be translated, and what was intact
/// stays intact.
pub fn run(data: &[u8]) {
    for cut in [false, true] {
        if let Ok(headers) = Headers::read(data, cut) {
            translated(data, &headers, cut);
            lengthened(data, &headers);
            error_translated(data, &headers, cut);
            answered(data, &headers);
        }
    }
}

fn translated(data: &[u8], headers: &Headers, cut: bool) {
    let Some(tuple) = headers.tuple() else {
        return;
    };
    let intact = headers.verify_checksums(data).is_ok();
    let to = elsewhere(&tuple);
    let mut frame = data.to_vec();
    translate(&mut frame, headers, &to);
    if headers.ttl > 1 {
        decrement_ttl(&mut frame, headers);
    }
    let again = Headers::read(&frame, cut).expect("translated, it reads as before");
    let expected = match headers.fragment {
        Fragment::First | Fragment::Later => Tuple::new(
            tuple.protocol,
            Endpoint::new(to.source.address, tuple.source.port),
            Endpoint::new(to.destination.address, tuple.destination.port),
        ),
        Fragment::No => to,
    };
    assert_eq!(again.tuple(), Some(expected));
    assert!(intact == again.verify_checksums(&frame).is_ok() || is_all_zeros(data, headers));
    repair_checksums(&mut frame, &again);
    let whole = !cut && headers.fragment == Fragment::No;
    assert!(!whole || again.verify_checksums(&frame).is_ok());
}

fn lengthened(data: &[u8], headers: &Headers) {
    if headers.tcp().is_none() || headers.fragment != Fragment::No {
        return; // nothing that an ALG reads
    }
    let mut frame = data.to_vec();
    let payload = b"PORT 203,0,113,2,200,10\r\n";
    if !replace_payload(&mut frame, headers, payload) {
        assert_eq!(frame, data, "refused, but changed");
        return;
    }
    let again = Headers::read(&frame, false).expect("with another payload it still reads");
    assert_eq!(frame.get(again.payload_range()), Some(payload.as_slice()));
    if headers.verify_checksums(data).is_ok() {
        assert_eq!(again.verify_checksums(&frame), Ok(()));
    }
}

fn error_translated(data: &[u8], headers: &Headers, cut: bool) {
    if !matches!(headers.transport, Transport::Error { .. }) {
        return;
    }
    let Ok(quote) = quoted(data, headers) else {
        return;
    };
    let inner = elsewhere(&quote.tuple);
    if Family::of(inner.source.address) != headers.family() {
        return; // the engine finds no session for it
    }
    let mut frame = data.to_vec();
    let (source, destination) = (headers.source, inner.source.address);
    translate_error(&mut frame, headers, source, destination, &quote, &inner);
    let again = Headers::read(&frame, cut).expect("translated, it reads as before");
    assert_eq!((again.source, again.destination), (source, destination));
    assert_eq!(quoted(&frame, &again).map(|quote| quote.tuple), Ok(inner));
    let intact = headers.verify_checksums(data).is_ok();
    assert!(intact == again.verify_checksums(&frame).is_ok() || is_all_zeros(data, headers));
}

/// One's complement has two zeros: what holds no bit at all has the wrong one
/// of them for a checksum, and any change makes it right.
fn is_all_zeros(data: &[u8], headers: &Headers) -> bool {
    let transport = data.get(headers.transport_range()).unwrap_or_default();
    transport.iter().all(|octet| *octet == 0)
}

fn answered(data: &[u8], headers: &Headers) {
    let gateway = match headers.source {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2)),
    };
    let answers = [
        reset(headers),
        echo_reply(data, headers),
        icmp_error(data, headers, gateway, Complaint::TimeExceeded),
    ];
    for answer in answers.into_iter().flatten() {
        let read = Headers::read(&answer, false).expect("what we make, we can read");
        assert_eq!(read.verify_checksums(&answer), Ok(()));
        assert_eq!(read.destination, headers.source);
    }
}

/// Other addresses of the same family, and other ports where there are ports.
fn elsewhere(tuple: &Tuple) -> Tuple {
    let mut to = *tuple;
    to.source.address = match tuple.source.address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2)),
    };
    if tuple.protocol.has_ports() {
        to.destination.port = Port(0xffff);
    }
    if tuple.protocol.has_ports() || tuple.protocol.is_icmp() {
        to.source.port = Port(0x8001);
    }
    to
}
