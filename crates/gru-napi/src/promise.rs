//! Promises for what a network's thread gives.

use crate::error::{self, Result};
use crate::panics;
use crate::worker::Worker;
use gru_core::{Backend, Error};
use napi::bindgen_prelude::{PromiseRaw, ToNapiValue};
use napi::{Env, JsDeferred, JsError, JsValue};
use std::sync::atomic::AtomicBool;

/// Makes a promise's value, or the error it is rejected with, on the JavaScript thread.
type Resolver<J> = Box<dyn FnOnce(Env) -> napi::Result<J> + Send>;

/// A promise for the result of the work that `prepare` gives, done on the worker's thread in its turn;
/// rejected where `prepare` finds something wrong.
///
/// # Errors
/// When Node makes no promise.
pub fn promise<'env, T, J, W>(
    env: &'env Env,
    worker: &Worker,
    prepare: impl FnOnce() -> Result<W>,
) -> Result<PromiseRaw<'env, J>>
where
    T: Into<J> + Send + 'static,
    J: ToNapiValue + 'static,
    W: FnOnce(&mut dyn Backend, &AtomicBool) -> Result<T, Error> + Send + 'static,
{
    promise_of(env, worker, prepare, |value: T| Ok(value.into()))
}

/// Like [`promise`], of what `finish` makes on the JavaScript thread of the work's result.
///
/// # Errors
/// When Node makes no promise.
pub fn promise_of<'env, T, J, W>(
    env: &'env Env,
    worker: &Worker,
    prepare: impl FnOnce() -> Result<W>,
    finish: impl FnOnce(T) -> Result<J> + Send + 'static,
) -> Result<PromiseRaw<'env, J>>
where
    T: Send + 'static,
    J: ToNapiValue + 'static,
    W: FnOnce(&mut dyn Backend, &AtomicBool) -> Result<T, Error> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred::<J, Resolver<J>>().map_err(error::internal)?;
    match panics::catch(prepare).unwrap_or_else(|text| Err(error::panicked(&text))) {
        Ok(work) => worker.submit(work, |result| settle(deferred, result.map_err(error::work), finish)),
        Err(failure) => settle(deferred, Err(failure), finish),
    }
    Ok(PromiseRaw::new(env.raw(), promise.raw()))
}

/// Settles a promise, from any thread. The error object is made where JavaScript runs, so that its code is ours.
fn settle<T, J>(
    deferred: JsDeferred<J, Resolver<J>>,
    result: Result<T>,
    finish: impl FnOnce(T) -> Result<J> + Send + 'static,
) where
    T: Send + 'static,
    J: ToNapiValue + 'static,
{
    deferred.resolve(Box::new(move |env| match result.and_then(finish) {
        Ok(value) => Ok(value),
        Err(failure) => Err(JsError::from(failure).into_unknown(env).into()),
    }));
}
