//! The kernels: PTX given to the driver's compiler, whose words come along when it refuses, and where each is.

use super::guard::{Fault, guard, quietly};
use super::occupancy;
use crate::kernel::Module;
use crate::probe::{Failure, Reason};
use crate::ptx::Ptx;
use crate::{Kernel, Precision};
use cudarc::driver::{result, sys};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, c_void};
use std::time::Instant;

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

/// The loaded kernels. Those that every network of a precision needs are loaded at the start, a persistent pair when it
/// is asked for: compiling takes the driver long enough to leave out what no network uses.
pub(super) struct Kernels {
    capability: (i32, i32),
    cuda_version: i32,
    /// Those that the device takes.
    functions: HashMap<Kernel, sys::CUfunction>,
    modules: Vec<Loaded>,
    /// Those whose loading was tried.
    tried: HashSet<Module>,
    /// What each kernel takes.
    pub(super) resources: Vec<Resources>,
    /// Names of the PTX that was loaded.
    pub(super) names: Vec<&'static str>,
    /// What should have loaded and did not, in words.
    pub(super) missing: Vec<String>,
    /// Time that loading took.
    pub(super) seconds: f64,
}

impl Kernels {
    /// Loads those that every network of this precision needs, for a device and driver.
    pub(super) fn load(
        capability: (i32, i32),
        cuda_version: i32,
        precision: Precision,
    ) -> Result<Self, Failure> {
        let needed = HashSet::from([Module::Plain, Module::of_products(precision)]);
        let mut kernels = Self {
            capability,
            cuda_version,
            functions: HashMap::new(),
            modules: Vec::new(),
            tried: needed.clone(),
            resources: Vec::new(),
            names: Vec::new(),
            missing: Vec::new(),
            seconds: 0.0,
        };
        for module in Module::all().filter(|module| needed.contains(module)) {
            kernels.add(&Ptx::of(module))?;
        }
        Ok(kernels)
    }

    /// Loads the module of a kernel where device and driver are for it, unless that was tried before. Where it does not
    /// load its kernels are missing, and the others run. Who launches a missing kernel is told of it: a persistent one
    /// is not chosen, and nothing stands in for a product.
    pub(super) fn prepare(&mut self, kernel: Kernel) {
        let module = kernel.module();
        if self.tried.contains(&module) {
            return;
        }
        self.tried.insert(module);
        let ptx = Ptx::of(module);
        if ptx.is_for(self.capability, self.cuda_version)
            && let Err(failure) = self.add(&ptx)
        {
            self.missing.push(format!("without {}: {}", ptx.name, failure.cause()));
        }
    }

    /// Loads PTX and looks up every kernel of its module; all of them or none.
    fn add(&mut self, ptx: &Ptx) -> Result<(), Failure> {
        let begin = Instant::now();
        let module = compile(ptx)?;
        let mut found = Vec::new();
        for kernel in Kernel::all().into_iter().filter(|kernel| kernel.module() == ptx.module) {
            let wanted = format!("the kernel {} in {}", kernel.name(), ptx.name);
            let function = guard(|| {
                let name = CString::new(kernel.name()).unwrap_or_default();
                // SAFETY: the module is loaded.
                unsafe { result::module::get_function(module.0, name) }
            })
            .map_err(|fault| fault.failure(Reason::KernelLoadFailed, &wanted))?;
            let resources = resources(kernel, function)
                .map_err(|fault| fault.failure(Reason::KernelLoadFailed, &wanted))?;
            found.push((function, resources));
        }
        self.modules.push(module);
        for (function, resources) in found {
            self.resources.push(resources);
            if occupancy::allow(resources.kernel, function) {
                self.functions.insert(resources.kernel, function);
            }
        }
        self.names.push(ptx.name);
        self.seconds += begin.elapsed().as_secs_f64();
        Ok(())
    }

    /// The function of a kernel; none where its module was not loaded, or the device does not take the kernel.
    pub(super) fn function(&self, kernel: Kernel) -> Option<sys::CUfunction> {
        self.functions.get(&kernel).copied()
    }
}

/// Loaded PTX.
struct Loaded(sys::CUmodule);

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: loaded in `compile`, unloaded once here; nothing that runs its kernels is left.
        quietly(|| unsafe { result::module::unload(self.0) });
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

fn compile(ptx: &Ptx) -> Result<Loaded, Failure> {
    let expected = format!("the driver to load {}", ptx.name);
    let Ok(text) = CString::new(ptx.text) else {
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
        Ok(()) => Ok(Loaded(module)),
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
