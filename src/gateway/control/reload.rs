//! Reading the rule file anew.

use super::Shared;
use crate::control::{Refusal, Refused};
use crate::gateway::reload::Refusal as NotReloaded;

/// Reads the rule file anew, and goes by it if it is right.
///
/// # Errors
/// Why the old rules stay.
pub(super) async fn reload(shared: &Shared) -> Result<(), Refused> {
    let Some(reloader) = &shared.reloader else {
        let message = "this gateway has no rule file";
        return Err(Refused::new(Refusal::NotAvailable, message));
    };
    match reloader.reload().await {
        Ok(reloaded) => {
            tracing::info!("{reloaded}");
            Ok(())
        }
        Err(refusal) => {
            let error = match refusal {
                NotReloaded::Stopping => Refusal::Stopping,
                NotReloaded::File(_) | NotReloaded::NeedsRestart(_) => Refusal::Failed,
            };
            Err(Refused::new(error, refusal.to_string()))
        }
    }
}
