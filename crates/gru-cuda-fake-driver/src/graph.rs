//! Graphs: captured launches, put into a stream one after the other when started, in an order that their nodes allow.

use crate::capture::{Node, running};
use crate::codes::{Code, INVALID_HANDLE, INVALID_VALUE, LAUNCH_FAILED};
use crate::settings::Launches;
use crate::state::{Handle, Launch, Work, as_handle, call_in_context, handle, put};

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
        let nodes = context.ready_graphs.get(&ready.addr()).ok_or(INVALID_HANDLE)?;
        let launches = in_order(nodes, !context.started.is_multiple_of(2));
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

/// The launches as they were captured, or each as late as what comes after it allows.
fn in_order(nodes: &[Node], late: bool) -> Vec<Launch> {
    if !late {
        return nodes.iter().map(|node| node.launch.clone()).collect();
    }
    // From the end: of what nothing that is left comes after, what was captured first.
    let mut launches = Vec::new();
    let mut left: Vec<usize> = (0..nodes.len()).collect();
    while let Some(place) =
        left.iter().position(|node| !left.iter().any(|later| nodes[*later].after.contains(node)))
    {
        launches.push(nodes[left.remove(place)].launch.clone());
    }
    launches.reverse();
    launches
}
