//! Start-up, devices and their contexts.

use crate::codes::{Code, INVALID_DEVICE, INVALID_VALUE, NO_DEVICE};
use crate::settings::{Init, Settings, Start};
use crate::state::{Handle, as_handle, call, call_in_context, call_initialised, hang, log, put, set_current};
use std::ffi::{c_char, c_int, c_uint};

/// SIGSTOP, as Linux numbers it: every thread of the process stands still until it is told to go on, or killed.
const STOP_SIGNAL: c_int = 19;

unsafe extern "C" {
    /// The C library's: sends a signal to this process.
    fn raise(signal: c_int) -> c_int;
}

/// Contexts are numbered from here, so that no device number passes for one.
const CONTEXTS: usize = 0xC0_0000;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Code {
    // SAFETY: the caller's promise.
    call("cuDriverGetVersion", |_, settings| unsafe { put(version, settings.version) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuInit(flags: c_uint) -> Code {
    let mut hangs = false;
    let code = call("cuInit", |state, settings| match settings.init {
        _ if flags != 0 => Err(INVALID_VALUE),
        Init::Crashes => std::process::abort(),
        Init::Stops => {
            // SAFETY: takes any signal's number.
            unsafe { raise(STOP_SIGNAL) };
            Ok(())
        }
        Init::Hangs => {
            hangs = true;
            Ok(())
        }
        Init::Gives(0) if settings.capabilities.is_empty() => Err(NO_DEVICE),
        Init::Gives(0) => {
            state.initialised = true;
            Ok(())
        }
        Init::Gives(code) => Err(code),
    });
    if hangs {
        hang();
    }
    code
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Code {
    call_initialised("cuDeviceGetCount", |_, settings| {
        let devices = c_int::try_from(settings.capabilities.len()).unwrap_or(c_int::MAX);
        // SAFETY: the caller's promise.
        unsafe { put(count, settings.count.unwrap_or(devices)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Code {
    call_initialised("cuDeviceGet", |_, settings| {
        capability(settings, ordinal)?;
        // SAFETY: the caller's promise.
        unsafe { put(device, ordinal) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) -> Code {
    call_initialised("cuDeviceGetName", |_, settings| {
        capability(settings, device)?;
        let text = format!("fake GPU {device}\0");
        if name.is_null() || usize::try_from(length).is_ok_and(|length| length < text.len()) {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: `length` bytes to write to, of which the text needs fewer.
        unsafe { name.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> Code {
    call_initialised("cuDeviceGetAttribute", |_, settings| {
        let (major, minor) = capability(settings, device)?;
        let known = match attribute {
            // Multiprocessors; whether launches can be cooperative.
            16 => 108,
            95 => c_int::from(settings.cooperative),
            75 => major,
            76 => minor,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the caller's promise.
        unsafe { put(value, known) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Code {
    call_in_context("cuCtxGetDevice", |context, _| {
        // SAFETY: the caller's promise.
        unsafe { put(device, context.device) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) -> Code {
    call_initialised("cuDeviceTotalMem_v2", |_, settings| {
        capability(settings, device)?;
        // SAFETY: the caller's promise.
        unsafe { put(bytes, settings.memory.of(device)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) -> Code {
    let mut hangs = false;
    let code = call_initialised("cuDevicePrimaryCtxRetain", |state, settings| {
        capability(settings, device)?;
        match settings.context.of(device) {
            Start::Gives(0) => {}
            Start::Gives(code) => return Err(code),
            Start::Hangs => {
                hangs = true;
                return Ok(());
            }
        }
        let made = state.contexts.entry(device).or_default();
        made.device = device;
        made.retained += 1;
        // SAFETY: the caller's promise.
        unsafe { put(context, as_handle(CONTEXTS + usize::try_from(device).unwrap_or(0))) }
    });
    if hangs {
        hang();
    }
    code
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuDevicePrimaryCtxRelease_v2(device: c_int) -> Code {
    call_initialised("cuDevicePrimaryCtxRelease_v2", |state, settings| {
        let Some(context) = state.contexts.get_mut(&device).filter(|context| context.retained > 0) else {
            return Err(INVALID_DEVICE);
        };
        context.retained -= 1;
        if context.retained > 0 {
            return Ok(());
        }
        // A broken device takes nothing back.
        if context.broken.is_none()
            && let Some(left) = context.left_behind()
        {
            log(settings, &format!("left behind: {left}"));
            eprintln!("fake driver: left behind: {left}");
        }
        context.clear();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuCtxSetCurrent(context: Handle) -> Code {
    call_initialised("cuCtxSetCurrent", |state, _| {
        if context.is_null() {
            set_current(None);
            return Ok(());
        }
        let device = context.addr().checked_sub(CONTEXTS).and_then(|device| c_int::try_from(device).ok());
        match device.filter(|device| state.contexts.get(device).is_some_and(|context| context.retained > 0)) {
            Some(device) => set_current(Some(device)),
            None => return Err(INVALID_VALUE),
        }
        Ok(())
    })
}

/// The compute capability of a device; an error if there is no such device.
pub fn capability(settings: &Settings, device: c_int) -> Result<(i32, i32), Code> {
    let index = usize::try_from(device).map_err(|_| INVALID_DEVICE)?;
    settings.capabilities.get(index).copied().ok_or(INVALID_DEVICE)
}
