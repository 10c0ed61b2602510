//! The release of NVIDIA's driver, such as 550.54.14: the driver API does not tell it, Linux's kernel module does.

/// Where the kernel module tells its release.
const FILE: &str = "/proc/driver/nvidia/version";

/// The driver's release; `None` where the system does not tell.
pub fn driver_release() -> Option<String> {
    release_in(&std::fs::read_to_string(FILE).ok()?)
}

/// The first word of the module's line that is digits between periods: both kinds of module have their name
/// before it and when it was built behind.
fn release_in(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let is_release = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.len() >= 2 && parts.iter().all(digits)
    };
    line.split_whitespace().find(is_release).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_release_of_both_kinds_of_module() {
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n\
                      GCC version:  gcc version 12.3.0\n";
        assert_eq!(release_in(closed).as_deref(), Some("535.104.05"));
        let open =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build  (x@y)\n";
        assert_eq!(release_in(open).as_deref(), Some("570.86.10"));
        assert_eq!(release_in("GCC version:  gcc version 12.3.0"), None);
        assert_eq!(release_in(""), None);
    }
}
