//! The driver's library as the probe uses it: opened by name, asked through plain C functions that give plain
//! integers. cudarc is not involved, since it panics where a library or a function is missing.

use super::codes;
use super::report::{Failure, Found, Reason};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// Every function that the probe and the driver call, directly or through cudarc. Only the timing of single
/// launches ([`crate::driver::Driver::time`]) calls another.
pub const REQUIRED: [&str; 41] = [
    "cuCtxGetDevice",
    "cuCtxSetCurrent",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuFuncGetAttribute",
    "cuFuncSetAttribute",
    "cuGetErrorName",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphUpload",
    "cuInit",
    "cuLaunchCooperativeKernel",
    "cuLaunchKernel",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemGetInfo_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuModuleGetFunction",
    "cuModuleLoadDataEx",
    "cuModuleUnload",
    "cuOccupancyMaxActiveBlocksPerMultiprocessor",
    "cuOccupancyMaxActiveClusters",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
];

/// The name that a driver installs under.
const USUAL_NAME: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

type Version = unsafe extern "C" fn(*mut c_int) -> c_uint;
type Init = unsafe extern "C" fn(c_uint) -> c_uint;
type Count = unsafe extern "C" fn(*mut c_int) -> c_uint;
type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_uint;
type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_uint;
type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_uint;
type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_uint;
type ErrorName = unsafe extern "C" fn(c_uint, *mut *const c_char) -> c_uint;

/// A library that answers to a driver's name. Never closed: a driver does not survive being unloaded.
#[derive(Clone, Copy)]
pub(super) struct Library {
    library: &'static libloading::Library,
}

/// A call that failed: its name and the code it gave.
pub(super) struct Refusal {
    pub(super) call: &'static str,
    pub(super) code: u32,
}

impl Library {
    /// Opens the library that cudarc will open: the first of its names that loads. Gives the name too.
    pub(super) fn open() -> Result<(Self, String), Failure> {
        let mut refused = None;
        for name in ["cuda", "nvcuda"].into_iter().flat_map(cudarc::get_lib_name_candidates) {
            // SAFETY: loading runs the library's own start-up code. It is the system's driver, which cudarc
            // is about to load by the same name.
            match unsafe { libloading::Library::new(&name) } {
                Ok(library) => return Ok((Self { library: Box::leak(Box::new(library)) }, name)),
                Err(error) => {
                    let words = with_cause(&error);
                    // A library that is there and does not load tells more than one that is not there.
                    let absent = words.contains(&name) && words.contains("No such file");
                    if refused.is_none() && !absent {
                        refused = Some(words);
                    }
                }
            }
        }
        Err(Failure::new(
            Reason::NoDriver,
            "the library of NVIDIA's driver",
            refused.unwrap_or_else(|| format!("none: {USUAL_NAME} is not found")),
            "install NVIDIA's driver, or start the container with access to the GPU",
        ))
    }

    /// The functions among `names` that the library lacks.
    pub(super) fn missing(self, names: &[&'static str]) -> Vec<&'static str> {
        // SAFETY: the symbol is looked up, never called or read.
        let has = |name: &str| unsafe { self.library.get::<*const ()>(name.as_bytes()) }.is_ok();
        names.iter().copied().filter(|name| !has(name)).collect()
    }

    /// The CUDA version that the driver is for; `None` where the library cannot tell.
    pub(super) fn version(self) -> Option<Result<i32, Refusal>> {
        let mut version = 0;
        // SAFETY: the type is the function's; the argument points to one integer for it to write.
        let code = unsafe { self.function::<Version>("cuDriverGetVersion")?(&raw mut version) };
        Some(check("cuDriverGetVersion", code).map(|()| version))
    }

    /// Starts the driver.
    pub(super) fn initialise(self) -> Result<(), Refusal> {
        // SAFETY: the type is the function's; its flags must be 0.
        self.call("cuInit", |init: Init| unsafe { init(0) })
    }

    /// Number of devices.
    pub(super) fn count(self) -> Result<usize, Refusal> {
        let mut count = 0;
        // SAFETY: the type is the function's; the argument points to one integer for it to write.
        self.call("cuDeviceGetCount", |get: Count| unsafe { get(&raw mut count) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// What is known of device `index`, which is below the count.
    pub(super) fn device(self, index: usize) -> Result<Found, Refusal> {
        let ordinal = c_int::try_from(index).unwrap_or(c_int::MAX);
        let mut device = 0;
        // SAFETY: as above.
        self.call("cuDeviceGet", |get: Get| unsafe { get(&raw mut device, ordinal) })?;

        let mut name = [0_u8; 256];
        // SAFETY: the function writes at most 255 bytes and a 0; the last byte stays 0 in any case.
        self.call("cuDeviceGetName", |get: Name| unsafe { get(name.as_mut_ptr().cast(), 255, device) })?;
        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default().to_string_lossy().into_owned();

        let attribute = |which| {
            let mut value = 0;
            // SAFETY: as above.
            self.call("cuDeviceGetAttribute", |get: Attribute| unsafe { get(&raw mut value, which, device) })
                .map(|()| value)
        };
        let capability = (attribute(CAPABILITY_MAJOR)?, attribute(CAPABILITY_MINOR)?);

        let mut memory = 0;
        // SAFETY: as above.
        self.call("cuDeviceTotalMem_v2", |get: Memory| unsafe { get(&raw mut memory, device) })?;
        Ok(Found { index, name, capability, memory: memory as u64 })
    }

    /// A result code with its name: "CUDA_ERROR_UNKNOWN (999)".
    pub(super) fn code_text(self, code: u32) -> String {
        let mut name: *const c_char = std::ptr::null();
        let known = self.call("cuGetErrorName", |get: ErrorName| {
            // SAFETY: the type is the function's; the argument points to one pointer for it to write.
            unsafe { get(code, &raw mut name) }
        });
        if known.is_err() || name.is_null() {
            return format!("code {code}");
        }
        // SAFETY: not null, and by the function's contract a text that is never freed.
        let name = unsafe { CStr::from_ptr(name) };
        format!("{} ({code})", name.to_string_lossy())
    }

    /// Calls a function by name. One that is missing counts as refused with code 500, "not found".
    fn call<F: Copy>(self, name: &'static str, call: impl FnOnce(F) -> u32) -> Result<(), Refusal> {
        // SAFETY: the caller names the function's type.
        match unsafe { self.function::<F>(name) } {
            Some(function) => check(name, call(function)),
            None => Err(Refusal { call: name, code: 500 }),
        }
    }

    /// # Safety
    /// `F` is the type of the function of that name.
    unsafe fn function<F: Copy>(self, name: &str) -> Option<F> {
        // SAFETY: the caller's promise. The library is never closed, so the pointer stays good.
        unsafe { self.library.get::<F>(name.as_bytes()) }.ok().map(|symbol| *symbol)
    }
}

fn check(call: &'static str, code: u32) -> Result<(), Refusal> {
    if code == 0 { Ok(()) } else { Err(Refusal { call, code }) }
}

/// The loader's words, which the error keeps as its cause.
fn with_cause(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// What a refused call means, once the library is known to be a driver.
pub(super) fn refused(library: Library, refusal: &Refusal) -> Failure {
    let reason = match refusal.code {
        codes::STUB_LIBRARY => Reason::StubLibrary,
        codes::NO_DEVICE => Reason::NoDevice,
        codes::OUT_OF_MEMORY => Reason::OutOfMemory,
        _ => Reason::InitFailed,
    };
    let expected = format!("{} to succeed", refusal.call);
    Failure::new(reason, expected, library.code_text(refusal.code), codes::hint(refusal.code))
}
