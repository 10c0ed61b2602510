//! Modules and their kernels.

use crate::codes::{Code, INVALID_HANDLE, INVALID_PTX, INVALID_VALUE, NOT_FOUND};
use crate::device::capability;
use crate::ptx;
use crate::settings::{Settings, Start};
use crate::state::{Context, Function, Handle, as_handle, call_in_context, handle, hang, put};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

const ERROR_LOG: c_int = 5;
const ERROR_LOG_BYTES: c_int = 6;

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut Handle,
    image: *const c_void,
    num_options: c_uint,
    options: *const c_int,
    values: *const Handle,
) -> Code {
    let mut hangs = false;
    let code = call_in_context("cuModuleLoadDataEx", |context, settings| {
        if settings.module.of(context.device) == Start::Hangs {
            hangs = true;
            return Ok(());
        }
        if image.is_null() || (num_options > 0 && (options.is_null() || values.is_null())) {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: a text that ends with a 0.
        let text = unsafe { CStr::from_ptr(image.cast()) };
        match load(text, settings, context) {
            Ok(kernels) => {
                let number = handle();
                context.modules.insert(number, kernels);
                // SAFETY: the caller's promise.
                unsafe { put(module, as_handle(number)) }
            }
            Err((code, words)) => {
                // SAFETY: the caller's promise: `num_options` options with their values.
                let value = |wanted| unsafe {
                    (0..num_options as usize)
                        .find(|&i| options.add(i).read() == wanted)
                        .map(|i| values.add(i).read())
                };
                if let (Some(log), Some(bytes)) = (value(ERROR_LOG), value(ERROR_LOG_BYTES)) {
                    let length = words.len().min(bytes.addr().saturating_sub(1));
                    // SAFETY: the caller's promise: the log has room for that many bytes.
                    unsafe {
                        log.cast::<u8>().copy_from_nonoverlapping(words.as_ptr(), length);
                        log.cast::<u8>().add(length).write(0);
                    }
                }
                Err(code)
            }
        }
    });
    if hangs {
        hang();
    }
    code
}

fn load(text: &CStr, settings: &Settings, context: &Context) -> Result<Vec<String>, (Code, String)> {
    let device = context.device;
    let code = match settings.module.of(device) {
        Start::Gives(code @ 1..) => code,
        _ if context.modules.len() >= settings.modules => INVALID_PTX,
        _ => 0,
    };
    if code != 0 {
        return Err((code, "ptxas fatal: asked to fail".into()));
    }
    let capability = capability(settings, device).map_err(|code| (code, String::new()))?;
    ptx::kernels(&text.to_string_lossy(), settings.version, capability)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleUnload(module: Handle) -> Code {
    call_in_context("cuModuleUnload", |context, _| {
        context.modules.remove(&module.addr()).ok_or(INVALID_HANDLE)?;
        context.functions.retain(|_, function| function.module != module.addr());
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char) -> Code {
    call_in_context("cuModuleGetFunction", |context, _| {
        if name.is_null() {
            return Err(INVALID_VALUE);
        }
        // SAFETY: the caller's promise: a text that ends with a 0.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        let kernels = context.modules.get(&module.addr()).ok_or(INVALID_HANDLE)?;
        if !kernels.contains(&name) || gru_cuda_emulator::argument_size(&name).is_none() {
            return Err(NOT_FOUND);
        }
        let number = handle();
        context
            .functions
            .insert(number, Function { module: module.addr(), kernel: name, large_clusters: false });
        // SAFETY: the caller's promise.
        unsafe { put(function, as_handle(number)) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_int, function: Handle) -> Code {
    call_in_context("cuFuncGetAttribute", |context, _| {
        if !context.functions.contains_key(&function.addr()) {
            return Err(INVALID_HANDLE);
        }
        // Shared and local bytes, registers: numbers of no meaning, since nothing is compiled.
        let known = match attribute {
            1 | 3 => 0,
            4 => 32,
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: the caller's promise.
        unsafe { put(value, known) }
    })
}
