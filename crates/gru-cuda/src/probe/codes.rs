//! What to do about the driver's result codes.

/// Memory could not be had.
pub(crate) const OUT_OF_MEMORY: u32 = 2;
/// The library of a toolkit, to link against.
pub(crate) const STUB_LIBRARY: u32 = 34;
/// No device.
pub(crate) const NO_DEVICE: u32 = 100;

/// A sentence on what to do about a result code.
pub(crate) const fn hint(code: u32) -> &'static str {
    match code {
        OUT_OF_MEMORY => "end other programs that use the device, or train a smaller model or batch",
        STUB_LIBRARY => "take the CUDA toolkit's stubs folder out of the library path (LD_LIBRARY_PATH)",
        46 => "another program holds the device for itself, or its compute mode forbids use",
        NO_DEVICE => {
            "see that nvidia-smi lists a GPU that CUDA_VISIBLE_DEVICES and the container do not hide"
        }
        209 | 218 => "report it with the text above: the kernels should load on this device",
        221 => "install the driver's PTX compiler library; a container needs the driver capability 'compute'",
        222 => "install a newer NVIDIA driver",
        223 => "unset CUDA_DISABLE_PTX_JIT",
        214 | 220 => "the device reports a memory or link fault: reset or replace it",
        700..=720 => {
            "the device takes no more work from this process: start again; report it if it comes back"
        }
        802 => "see that NVIDIA's fabric manager runs",
        803 => "the driver was updated under a running system: restart the machine",
        804 => "take CUDA's compatibility library out of the library path: this device does not support it",
        805..=810 => "see that the MPS server runs and is allowed to this user",
        _ => "see that nvidia-smi works; restarting the machine helps where the driver is stuck",
    }
}
