//! Being told to stop, for commands that are no gateway.

use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::GatewayError;

/// Has `stop` called, by a thread of its own, at the first SIGINT or SIGTERM from here
/// on. Those that follow are not heard.
///
/// # Errors
/// The signals cannot be listened to.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) -> Result<(), GatewayError> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(GatewayError::process("start the async runtime"))?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(GatewayError::process("listen for signals"));
        (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        )
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        stop();
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .map_err(GatewayError::process("start a thread"))?;
    Ok(())
}
