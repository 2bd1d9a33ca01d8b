//! What `spigate ctl watch` prints: a line for each event.

use serde_json::Value;

use super::tables::{number, text};
use crate::cli::words::packets;

/// `2026-03-01T09:00:00Z began 7 tcp 10.0.0.7:51000 > 198.51.100.9:443 by lan, reply to 203.0.113.2:51000`.
pub(super) fn line(object: &Value) -> String {
    let at = |pointer| text(object, pointer);
    match object.get("event").and_then(Value::as_str) {
        Some("lost") => format!("{} events were lost: they came too fast", at("/count")),
        _ => {
            let ending = match object.get("ending").and_then(Value::as_str) {
                Some(ending) => format!(
                    ", {ending} after {} in state {}",
                    packets(number(object, "/original/packets") + number(object, "/reply/packets")),
                    at("/state")
                ),
                None => String::new(),
            };
            format!(
                "{} {} {} {} {} > {} by {}, answered to {} by {}{ending}",
                at("/time"),
                at("/event"),
                at("/session"),
                at("/protocol"),
                at("/original/source"),
                at("/original/destination"),
                at("/original/in"),
                at("/reply/destination"),
                at("/reply/in"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let mut event = json!({
            "event": "began",
            "time": "2026-03-01T09:00:00.000000Z",
            "table": "session",
            "session": 7,
            "protocol": "tcp",
            "state": "syn-sent",
            "original": {
                "in": "lan",
                "source": "10.0.0.7:51000",
                "destination": "198.51.100.9:443",
                "packets": 1,
                "bytes": 60,
            },
            "reply": {
                "in": "wan",
                "source": "198.51.100.9:443",
                "destination": "203.0.113.2:51000",
                "packets": 0,
                "bytes": 0,
            },
        });
        let began = line(&event);
        event["event"] = json!("ended");
        event["ending"] = json!("killed");
        let ended = line(&event);
        let lost = line(&json!({ "event": "lost", "count": 12 }));
        insta::assert_snapshot!([began, ended, lost].join("\n"));
    }
}
