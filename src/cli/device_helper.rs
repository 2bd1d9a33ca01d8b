//! `spigate device-helper`: what `spigate run` starts to have devices again that are lost.

use std::io::Write;

use super::args::DeviceHelper;
use super::{Exit, complain};
use crate::gateway::sandbox::User;
use crate::gateway::{HelperOptions, Sandbox, help};
use crate::net::Workers;

/// Helps a gateway until that is gone.
pub(super) fn run(args: &DeviceHelper, err: &mut impl Write) -> Exit {
    let Some(workers) = Workers::new(args.queues) else {
        complain(err, format_args!("no device has {} queues", args.queues));
        return Exit::Unusable;
    };
    let user = args.uid.zip(args.gid).map(|(uid, gid)| User { uid, gid });
    let options = HelperOptions {
        devices: args.devices.clone(),
        workers,
        sandbox: match args.no_sandbox {
            true => Sandbox::Open,
            false => Sandbox::Confined(user),
        },
    };
    match help(&options) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            complain(err, error);
            Exit::Unusable
        }
    }
}
