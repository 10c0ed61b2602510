//! Graphs: captured launches, put into a stream one after the other when started.

use crate::codes::{Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED};
use crate::settings::Launches;
use crate::state::{Handle, Work, as_handle, call_in_context, handle, put};
use crate::stream::running;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiateWithFlags(ready: *mut Handle, graph: Handle, flags: u64) -> Code {
    call_in_context("cuGraphInstantiateWithFlags", |context, settings| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        let (code, before) = settings.graph;
        if code != 0 && context.made >= before {
            return Err(code);
        }
        let launches = context.graphs.get(&graph.addr()).ok_or(INVALID_HANDLE)?.clone();
        let number = handle();
        context.ready_graphs.insert(number, launches);
        context.made += 1;
        // SAFETY: the caller's promise.
        unsafe { put(ready, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphDestroy(graph: Handle) -> Code {
    call_in_context("cuGraphDestroy", |context, _| {
        context.graphs.remove(&graph.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphExecDestroy(ready: Handle) -> Code {
    call_in_context("cuGraphExecDestroy", |context, _| {
        context.ready_graphs.remove(&ready.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphUpload(ready: Handle, stream: Handle) -> Code {
    call_in_context("cuGraphUpload", |context, _| {
        running(context, stream)?;
        context.ready_graphs.get(&ready.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphLaunch(ready: Handle, stream: Handle) -> Code {
    call_in_context("cuGraphLaunch", |context, settings| {
        let launches = context.ready_graphs.get(&ready.addr()).ok_or(INVALID_HANDLE)?.clone();
        running(context, stream)?;
        if settings.launches == Launches::FailAfter(context.started) {
            context.broken = Some(LAUNCH_FAILED);
            return Err(LAUNCH_FAILED);
        }
        context.started += 1;
        running(context, stream)?.extend(launches.into_iter().map(Work::Launch));
        Ok(())
    })
}
