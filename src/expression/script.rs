//! A script: packets one after the other, with short words for what takes
//! several packets.

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::eof;

use super::text::text as quoted;
use super::words::{Input, Mistake, Parsed, word};
use super::{ExpressionError, PacketExpression, Payload, Transport, parse};
use crate::net::Port;

/// What stands for the port of the data session that was announced last.
const ANNOUNCED: &str = "@alg";

/// The word for a whole handshake.
const OPEN: &str = " open";

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptLine {
    /// One packet.
    Packet(PacketExpression),
    /// A TCP connection is opened: a SYN as it is written, and the two segments
    /// that complete the handshake (`lan tcp ... open`).
    Open(PacketExpression),
    /// An end of the control session that was opened last says a line, which is
    /// sent with its line end (`lan ftp 'PASV'`).
    Says {
        /// The zone of the end that says it.
        zone: String,
        /// The line, without its end.
        line: Payload,
    },
}

impl ScriptLine {
    /// Reads a line. `announced` is the port of the data session that was
    /// announced last: `@alg` stands for it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(text: &str, announced: Option<Port>) -> Result<Self, ExpressionError> {
        let wrong = |mistake: Mistake| ExpressionError::new(text, mistake.span, mistake.message);
        if let Some(says) = says(text) {
            let (zone, line) = says.map_err(wrong)?;
            return Ok(Self::Says { zone, line });
        }
        let mut written = text.to_owned();
        if let Some(at) = text.find(ANNOUNCED) {
            let span = at..at + ANNOUNCED.len();
            let Some(port) = announced else {
                let message = "expected a port: no data session was announced before".to_owned();
                return Err(ExpressionError::new(text, span, message));
            };
            written.replace_range(span, &port.to_string());
        }
        let trimmed = written.trim_end();
        let Some(opening) = trimmed.strip_suffix(OPEN) else {
            return parse::expression(&written).map(Self::Packet);
        };
        let expression = parse::expression(opening)?;
        match expression.packet.transport {
            Transport::Tcp { .. } => Ok(Self::Open(expression)),
            _ => {
                let span = opening.len() + 1..trimmed.len();
                let message = "expected no `open`: only a TCP connection is".to_owned();
                Err(ExpressionError::new(&written, span, message))
            }
        }
    }
}

/// `lan ftp '...'`, if it is that.
fn says(text: &str) -> Option<Parsed<(String, Payload)>> {
    let mut input = Input::new(text);
    let zone = word(&mut input).ok()?;
    let service = word(&mut input).ok()?;
    let is_said = service.text == "ftp" && input.trim_start().starts_with(['"', '\'']);
    is_said.then(|| {
        let line = quoted(&mut input)?;
        (multispace0, eof::<_, Mistake>)
            .parse_next(&mut input)
            .map_err(|mistake| mistake.expected("nothing behind the line"))?;
        Ok((zone.text.to_owned(), line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, announced: Option<Port>) -> Result<ScriptLine, String> {
        ScriptLine::read(text, announced).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_line_is_a_packet_a_handshake_or_something_said() {
        let packet = "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn";
        let parsed: PacketExpression = packet.parse().unwrap();
        assert_eq!(read(packet, None), Ok(ScriptLine::Packet(parsed.clone())));
        let open = "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 open";
        assert_eq!(read(open, None), Ok(ScriptLine::Open(parsed)));
        assert_eq!(
            read("lan ftp 'PORT 10,0,0,7,200,10'", None),
            Ok(ScriptLine::Says {
                zone: "lan".to_owned(),
                line: Payload::bytes(*b"PORT 10,0,0,7,200,10").unwrap(),
            })
        );
    }

    #[test]
    fn the_announced_port_is_put_in() {
        let text = "wan tcp 198.51.100.9:20 > 203.0.113.2:@alg syn";
        let written = "wan tcp 198.51.100.9:20 > 203.0.113.2:51210 syn";
        assert_eq!(
            read(text, Some(Port(51210))),
            Ok(ScriptLine::Packet(written.parse().unwrap()))
        );
        assert_eq!(
            read(text, None),
            Err("expected a port: no data session was announced before".to_owned())
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, message) in [
            (
                "lan udp 10.0.0.7:1 > 198.51.100.9:53 open",
                "expected no `open`: only a TCP connection is",
            ),
            ("lan ftp 'PASV' psh", "expected nothing behind the line"),
            ("lan ftp 'PASV", "expected a closing quote"),
        ] {
            assert_eq!(read(text, None), Err(message.to_owned()), "{text}");
        }
    }
}
