//! The start: engines that go on by the state file.

use std::fmt;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::boot::Boot;
use super::file::StateFile;
use super::told::StateObject;
use super::{Kept, StatePlace};
use crate::engine::{Engine, Gap, Meanwhile, Options, Policy, Restored};
use crate::gateway::GatewayError;
use crate::gateway::clock::Clock;
use crate::gateway::life::Life;
use crate::gateway::workers;
use crate::session::Crew;
use crate::state::{self, Standing, Unreadable};

/// Engines that go on by the state file, where there is one.
///
/// # Errors
/// There can be no file at that place, or it may not be read.
pub(in crate::gateway) fn resume(
    place: &StatePlace,
    policy: &Arc<Policy>,
    (options, crew): (Options, Option<&Arc<Crew>>),
    (clock, life): (Clock, &Life),
) -> Result<(Kept, Vec<Engine>), GatewayError> {
    let trouble = |cause| GatewayError::State {
        path: place.file.clone(),
        cause,
    };
    let file = StateFile::at(&place.file).map_err(trouble)?;
    let boot = Boot::find();
    let path = file.path().display();
    let engines = match file.read().map_err(trouble)? {
        None => {
            info!(%path, "no state yet");
            None
        }
        Some(octets) => match restored(&octets, boot, policy, (options, crew), clock) {
            Ok((engines, restored)) => {
                // Before the first packet passes: it is the state no more.
                if let Err(cause) = file.mark_as_passing() {
                    warn!(%path, %cause, "cannot write into the state file");
                    let _ = file.set_aside();
                }
                info!(%path, "{}", Words(&restored));
                life.state(StateObject::restored(clock.now(), &restored));
                life.restored(restored.sessions);
                Some(engines)
            }
            Err(why) => {
                refuse(&file, &why);
                life.state(StateObject::refused(clock.now(), why.to_string()));
                None
            }
        },
    };
    let anew = || workers::engines(policy, options, crew, clock.now());
    let engines = engines.unwrap_or_else(anew);
    let kept = Kept {
        file: Arc::new(file),
        boot,
    };
    Ok((kept, engines))
}

fn restored(
    octets: &[u8],
    boot: Boot,
    policy: &Arc<Policy>,
    (options, crew): (Options, Option<&Arc<Crew>>),
    clock: Clock,
) -> Result<(Vec<Engine>, Restored), Unreadable> {
    let state = state::decode(octets)?;
    let gap = Gap {
        time: boot.since(&state.written),
        meanwhile: match state.standing {
            Standing::AtRest => Meanwhile::Nothing,
            Standing::Passing => Meanwhile::Packets,
        },
    };
    let state = (state.snapshot, gap);
    let restored = match crew {
        None => Engine::restore(policy, options, clock.now(), state)
            .map(|(engine, restored)| (vec![engine], restored)),
        Some(crew) => Engine::restore_crew(policy, options, clock.now(), crew, state),
    };
    restored.map_err(Unreadable::Unsound)
}

/// Sets a file aside that cannot be read, and tells of it.
fn refuse(file: &StateFile, why: &Unreadable) {
    let path = file.path().display();
    match file.set_aside() {
        Ok(aside) => error!(
            %path,
            aside = %aside.display(),
            "state refused, and set aside: {why}; no session goes on"
        ),
        Err(cause) => error!(
            %path,
            %cause,
            "state refused: {why}; no session goes on, and the file cannot be set aside"
        ),
    }
}

/// What has come of a state, in words.
struct Words<'a>(&'a Restored);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Restored {
            sessions,
            expectations,
            without_zone,
            overtaken,
        } = self.0;
        write!(
            f,
            "state restored: {sessions} sessions, {expectations} expectations"
        )?;
        if *without_zone > 0 {
            write!(
                f,
                "; {without_zone} sessions of zones that are gone left out"
            )?;
        }
        if *overtaken > 0 {
            write!(f, "; {overtaken} that had ended left out")?;
        }
        Ok(())
    }
}
