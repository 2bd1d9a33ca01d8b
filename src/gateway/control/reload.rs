//! Reading the rule file anew.

use super::Shared;
use crate::control::{Refusal, Refused};

/// Reads the rule file anew, and goes by it if it is right.
///
/// # Errors
/// Why the old rules stay.
pub(super) async fn reload(_shared: &Shared) -> Result<(), Refused> {
    Err(Refused::new(
        Refusal::NotAvailable,
        "this gateway cannot reload its rule file: stop it, and start it again",
    ))
}
