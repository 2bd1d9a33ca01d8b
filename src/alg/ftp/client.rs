//! What a line of the client does to the dialogue.

use super::announce::{allowed, announce, keep_from_server};
use super::command::{Command, Request};
use super::line::{Extent, Line};
use super::outstanding::Awaits;
use super::{
    Admits, AfterAuth, Announcement, CLIENT, DataPort, DefaultPort, Desk, EpsvAll, FirstLine,
    Fixed, Ftp, Hole, Inspection, NotOpened, Passage, Protocol, Reading, SERVER, Strictness,
    ThirdParty, below,
};

impl Ftp {
    pub(super) fn command(&mut self, line: &Line<'_>, desk: &mut dyn Desk, found: &mut Inspection) {
        let request = Request::read(line);
        if line
            .text
            .get(request.verb.start..)
            .is_none_or(<[u8]>::is_empty)
        {
            return; // an empty line has no answer that all servers agree on
        }
        let settings = &desk.settings().ftp;
        if settings.long_lines == Passage::Block && line.extent == Extent::TooLong {
            found.refuses(CLIENT, "a line", NotOpened::LongLine, &[]);
            return;
        }
        let is_first = std::mem::replace(&mut self.first_line, FirstLine::Heard);
        if is_first == FirstLine::Awaited
            && settings.strictness == Strictness::Dialogue
            && request.command == Command::Unknown
        {
            self.let_go("the first line", NotOpened::NotFtp, line, desk, found);
            return;
        }
        let verb = line.text.get(request.verb.clone()).unwrap_or_default();
        let is_denied = desk.settings().ftp.denies(verb)
            || match request.command {
                Command::Auth => settings.after_auth_tls == AfterAuth::Block,
                Command::Long(_) => settings.long_addresses == Passage::Block,
                _ => false,
            };
        let awaits = if is_denied {
            let what = request.command.what();
            found.opens_nothing(CLIENT, what, NotOpened::Denied, &line.text);
            keep_from_server(&request.verb, line, found);
            Awaits::Other
        } else {
            self.asked(request, line, desk, found)
        };
        if self.outstanding.push(awaits).is_err() {
            self.let_go("a command", NotOpened::Crowded, line, desk, found);
        }
    }

    /// What a command changes, and what its reply will mean.
    fn asked(
        &mut self,
        request: Request,
        line: &Line<'_>,
        desk: &mut dyn Desk,
        found: &mut Inspection,
    ) -> Awaits {
        match request.command {
            Command::Active(what, written) => {
                self.data_port = DataPort::Named;
                let announced = self
                    .may_announce(what, desk.settings().ftp.strictness)
                    .and(written.ok_or(NotOpened::Malformed));
                let hole = announce(CLIENT, what, announced, line, desk, found);
                if let Err(NotOpened::ThirdParty(_) | NotOpened::Gateway(_) | NotOpened::NoHost(_)) =
                    hole
                    && desk.settings().ftp.third_party == ThirdParty::Block
                {
                    keep_from_server(&request.verb, line, found);
                    return Awaits::Other;
                }
                Awaits::Active(hole.ok())
            }
            Command::Passive(what) => {
                self.data_port = DataPort::Named;
                let strictness = desk.settings().ftp.strictness;
                match self.may_announce(what, strictness) {
                    Ok(()) => Awaits::Passive,
                    Err(why) => {
                        found.opens_nothing(CLIENT, what, why, &line.text);
                        Awaits::Other
                    }
                }
            }
            Command::EpsvAll => {
                self.epsv_all = EpsvAll::Asked;
                Awaits::EpsvAll
            }
            Command::Auth => {
                self.reading = Reading::AuthAsked;
                Awaits::Auth
            }
            Command::Transfer(what) => Awaits::Transfer(self.default_port(what, line, desk, found)),
            Command::Login => Awaits::Login,
            Command::Rein => Awaits::Rein,
            Command::Quit => Awaits::Quit,
            Command::Long(_) | Command::Other | Command::Unknown => Awaits::Other,
        }
    }

    /// A transfer for which nobody has named a port: RFC 959 section 3.3 has the
    /// server connect from the port below its own to where the client's control
    /// session comes from.
    fn default_port(
        &self,
        what: &'static str,
        line: &Line<'_>,
        desk: &mut dyn Desk,
        found: &mut Inspection,
    ) -> Option<Hole> {
        let settings = &desk.settings().ftp;
        if settings.default_port == DefaultPort::Unused || self.data_port == DataPort::Named {
            return None;
        }
        let endpoint = desk.end_of(CLIENT);
        let announcement = Announcement {
            by: CLIENT,
            protocol: Protocol::TCP,
            endpoint,
            fixed: Fixed::ToControl,
            from: Some(below(desk.end_of(SERVER).port)),
            admits: Admits::AtOnce,
        };
        let asked = self
            .may_announce(what, settings.strictness)
            .and(allowed(endpoint.port, settings));
        let asked = asked.and_then(|()| desk.expect(announcement).map_err(NotOpened::NoHole));
        match asked {
            Ok(hole) => {
                found.opened(announcement, hole);
                Some(hole)
            }
            Err(why) => {
                found.opens_nothing(CLIENT, what, why, &line.text);
                None
            }
        }
    }
}
