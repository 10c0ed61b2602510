//! Panics become errors; their text goes into the error and not to stderr.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Set in the environment, it lets the text of panics through to stderr, with the place in the source.
const LOUD: &str = "GRU_NATIVE_PANIC";

/// Keeps panics off stderr. The addon has a standard library of its own, so this touches no other addon's.
pub fn silence() {
    if std::env::var_os(LOUD).is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
}

/// Runs `work`; a panic comes back as its text. What `work` was changing may be left half changed.
///
/// # Errors
/// The text of the panic.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| text(payload.as_ref()))
}

/// What the panic said.
fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".into())
}
