//! A request of the control protocol.

use spigate::control::{PacketFilter, Request, SessionFilter};

/// What is read is written so that it reads the same; filters alone, too.
pub fn run(data: &[u8]) {
    match Request::read(data) {
        Ok(request) => {
            let written = request.to_line().expect("a request can be written");
            assert_eq!(Request::read(&written).as_ref(), Ok(&request));
        }
        Err(refused) => assert!(!refused.message.is_empty()),
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(filter) = text.parse::<SessionFilter>() {
        assert_eq!(filter.to_string().parse().as_ref(), Ok(&filter));
    }
    if let Ok(filter) = text.parse::<PacketFilter>() {
        assert_eq!(filter.to_string().parse().as_ref(), Ok(&filter));
    }
}
