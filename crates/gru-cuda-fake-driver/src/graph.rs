//! Graphs: captured launches, run one after the other when started.

use crate::codes::{Code, INVALID_HANDLE, INVALID_VALUE};
use crate::state::{Handle, as_handle, call_in_context, put};
use crate::stream::{check_running, run};

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphInstantiateWithFlags(ready: *mut Handle, graph: Handle, flags: u64) -> Code {
    call_in_context("cuGraphInstantiateWithFlags", |state, settings| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        if settings.graph != 0 {
            return Err(settings.graph);
        }
        let launches = state.graphs.get(&graph.addr()).ok_or(INVALID_HANDLE)?.clone();
        let number = state.handle();
        state.ready_graphs.insert(number, launches);
        // SAFETY: the caller's promise.
        unsafe { put(ready, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphDestroy(graph: Handle) -> Code {
    call_in_context("cuGraphDestroy", |state, _| {
        state.graphs.remove(&graph.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphExecDestroy(ready: Handle) -> Code {
    call_in_context("cuGraphExecDestroy", |state, _| {
        state.ready_graphs.remove(&ready.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphUpload(ready: Handle, stream: Handle) -> Code {
    call_in_context("cuGraphUpload", |state, _| {
        check_running(state, stream)?;
        state.ready_graphs.get(&ready.addr()).map(|_| ()).ok_or(INVALID_HANDLE)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGraphLaunch(ready: Handle, stream: Handle) -> Code {
    call_in_context("cuGraphLaunch", |state, settings| {
        check_running(state, stream)?;
        let launches = state.ready_graphs.get(&ready.addr()).ok_or(INVALID_HANDLE)?.clone();
        launches.iter().for_each(|launch| run(state, settings, launch));
        Ok(())
    })
}
