//! The kernels: PTX given to the driver's compiler, whose words come along when it refuses.

use super::guard::{Fault, guard, quietly};
use crate::Kernel;
use crate::probe::{Failure, PTX_NAME, Reason};
use cudarc::driver::{result, sys};
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};

/// Room for the compiler's words.
const LOG_BYTES: usize = 16 * 1024;

/// What a kernel takes on the device at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Which kernel.
    pub kernel: Kernel,
    /// Registers of a thread.
    pub registers: i32,
    /// Shared memory of a block, in bytes.
    pub shared_bytes: i32,
    /// Memory of a thread for what does not fit its registers, in bytes.
    pub local_bytes: i32,
}

/// The loaded kernels.
pub(super) struct Module {
    module: sys::CUmodule,
    functions: HashMap<Kernel, sys::CUfunction>,
    pub(super) resources: Vec<Resources>,
}

impl Module {
    /// Loads PTX and looks up every kernel of [`Kernel::ALL`].
    pub(super) fn load(ptx: &str) -> Result<Self, Failure> {
        let mut module = Self { module: compile(ptx)?, functions: HashMap::new(), resources: Vec::new() };
        for kernel in Kernel::ALL {
            let wanted = format!("the kernel {} in {PTX_NAME}", kernel.name());
            let function = guard(|| {
                let name = CString::new(kernel.name()).unwrap_or_default();
                // SAFETY: the module is loaded.
                unsafe { result::module::get_function(module.module, name) }
            })
            .map_err(|fault| fault.failure(Reason::KernelLoadFailed, &wanted))?;
            let resources = resources(kernel, function)
                .map_err(|fault| fault.failure(Reason::KernelLoadFailed, &wanted))?;
            module.functions.insert(kernel, function);
            module.resources.push(resources);
        }
        Ok(module)
    }

    /// The function of a kernel.
    pub(super) fn function(&self, kernel: Kernel) -> sys::CUfunction {
        // `load` looked up all of them. A null handle would be refused by the driver.
        self.functions.get(&kernel).copied().unwrap_or(std::ptr::null_mut())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded in `load`, unloaded once here; nothing that runs its kernels is left.
        quietly(|| unsafe { result::module::unload(self.module) });
    }
}

/// Asks for what a kernel takes. Also makes the driver load the kernel now, where it would put that off until
/// the first launch, which may be one that is being captured.
fn resources(kernel: Kernel, function: sys::CUfunction) -> Result<Resources, Fault> {
    use sys::CUfunction_attribute_enum as Attribute;
    // SAFETY: the function is of a loaded module.
    let ask = |attribute| guard(|| unsafe { result::function::get_function_attribute(function, attribute) });
    Ok(Resources {
        kernel,
        registers: ask(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)?,
        shared_bytes: ask(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?,
        local_bytes: ask(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)?,
    })
}

fn compile(ptx: &str) -> Result<sys::CUmodule, Failure> {
    let expected = format!("the driver to load {PTX_NAME}");
    let Ok(text) = CString::new(ptx) else {
        let received = "a text with a 0 in it";
        return Err(Failure::new(Reason::KernelLoadFailed, expected, received, "install the package again"));
    };
    let mut log = vec![0_u8; LOG_BYTES];
    let mut module = std::ptr::null_mut();
    let result = guard(|| {
        let mut options = [
            sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
            sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        // The size stands where a pointer would; one byte less, so that the last 0 stays.
        let size = std::ptr::without_provenance_mut::<c_void>(LOG_BYTES - 1);
        let mut values = [log.as_mut_ptr().cast(), size];
        // SAFETY: the image ends with a 0; there are as many options as values, of the types that the driver
        // documents; the log outlives the call.
        unsafe {
            sys::cuModuleLoadDataEx(
                &raw mut module,
                text.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        }
        .result()
    });
    match result {
        Ok(()) => Ok(module),
        Err(fault) => {
            let mut failure = fault.failure(Reason::KernelLoadFailed, &expected);
            let words = CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy();
            if !words.trim().is_empty() {
                failure.received = format!("{}: {}", failure.received, words.trim());
            }
            Err(failure)
        }
    }
}
