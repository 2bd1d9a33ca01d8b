//! What a line of the server does to the dialogue.

use super::announce::announce;
use super::line::{Extent, Line};
use super::outstanding::Awaits;
use super::reply::{self, Code, Outcome};
use super::{
    AfterAuth, DataPort, Desk, EpsvAll, Ftp, Inspection, NotOpened, Note, Passage, PerDirection,
    Reading, SERVER, Stage, Strictness,
};

impl Ftp {
    pub(super) fn reply(&mut self, line: &Line<'_>, desk: &mut dyn Desk, found: &mut Inspection) {
        if desk.settings().ftp.long_lines == Passage::Block && line.extent == Extent::TooLong {
            found.refuses(SERVER, "a line", NotOpened::LongLine, &[]);
            return;
        }
        let Some(code) = self.replies.read(&line.text) else {
            return;
        };
        let is_clear = line.extent == Extent::Whole && !line.is_ambiguous();
        let (what, written) = match code {
            // By its code, not by the command that it answers: servers that
            // answer EPSV with 227, or PASV with 229, exist.
            Code::PASSIVE => ("227", reply::passive(&line.text)),
            Code::EXTENDED_PASSIVE => ("229", reply::extended_passive(&line.text)),
            _ => return self.answered(code, desk, found),
        };
        let strictness = desk.settings().ftp.strictness;
        let is_passive = |awaits| awaits == Awaits::Passive;
        let asked = match (self.take(is_passive, desk, found), strictness) {
            (None, Strictness::Dialogue) => Err(NotOpened::Unasked),
            (Some(_), _) | (None, Strictness::Lines) => Ok(()),
        };
        let announced = asked.and_then(|()| self.may_announce(what, strictness));
        let written = written.filter(|_| is_clear).ok_or(NotOpened::Malformed);
        let _ = announce(SERVER, what, announced.and(written), line, desk, found);
    }

    /// A reply without an endpoint: what it means for the command that it
    /// answers.
    fn answered(&mut self, code: Code, desk: &mut dyn Desk, found: &mut Inspection) {
        let outcome = code.outcome();
        if outcome == Outcome::Preliminary {
            return; // the final one is still to come
        }
        match code {
            // At any time, and the last of all.
            Code::NOT_AVAILABLE => {
                self.outstanding.clear();
                desk.withdraw_all();
                return;
            }
            Code::GREETING if self.stage == Stage::Connected => {
                self.stage = Stage::Greeted;
                return;
            }
            _ => {}
        }
        let answers = match code {
            Code::SECURITY_ACCEPTED | Code::SECURITY_DATA => {
                self.take(|awaits| awaits == Awaits::Auth, desk, found)
            }
            Code::LOGGED_IN | Code::AUTHORIZED => {
                self.take(|awaits| awaits == Awaits::Login, desk, found)
            }
            // That a transfer has ended is no answer to a PORT: it ends one that
            // its client had given up.
            _ if code.ends_transfer()
                && matches!(self.outstanding.oldest(), Some(Awaits::Active(_))) =>
            {
                None
            }
            _ => self.outstanding.pop(),
        };
        match (answers, outcome) {
            (Some(Awaits::Active(Some(hole))), _) => match code {
                Code::DONE => found.admitted(hole, desk),
                _ => found.withdrawn(hole, desk),
            },
            (Some(Awaits::Transfer(Some(hole))), Outcome::Refused) => found.withdrawn(hole, desk),
            (Some(Awaits::EpsvAll), Outcome::Done) => self.epsv_all = EpsvAll::Accepted,
            (Some(Awaits::EpsvAll), _) => self.epsv_all = EpsvAll::No,
            (Some(Awaits::Auth), Outcome::Refused) => {
                self.reading = match self.reading {
                    Reading::AuthAsked => Reading::Clear,
                    other => other,
                };
            }
            (Some(Awaits::Auth), _) => {
                self.reading = match desk.settings().ftp.after_auth_tls {
                    AfterAuth::Ccc => Reading::Tls(PerDirection::default()),
                    AfterAuth::Pass | AfterAuth::Block => Reading::Never,
                };
                found.notes.push(Note::Encrypted);
            }
            (Some(Awaits::Login), Outcome::Done)
                if matches!(code, Code::LOGGED_IN | Code::AUTHORIZED)
                    && self.stage == Stage::Greeted =>
            {
                self.stage = Stage::LoggedIn;
            }
            (Some(Awaits::Rein), Outcome::Done) => {
                desk.withdraw_all();
                self.stage = Stage::Greeted;
                self.epsv_all = EpsvAll::No;
                self.data_port = DataPort::Default;
            }
            (Some(Awaits::Quit), Outcome::Done) => desk.withdraw_all(),
            _ => {}
        }
    }

    /// Takes out the command that a reply of this kind answers. Holes of
    /// commands before it, which have gone without a reply, are closed.
    fn take(
        &mut self,
        is_meant: impl Fn(Awaits) -> bool,
        desk: &mut dyn Desk,
        found: &mut Inspection,
    ) -> Option<Awaits> {
        let passed = |hole| found.withdrawn(hole, desk);
        self.outstanding.pop_to(is_meant, passed)
    }
}
