//! What of a PTX text is checked: that it is one, for this driver and device, and which kernels it has.

use crate::codes::{Code, INVALID_PTX, UNSUPPORTED_PTX_VERSION};

/// The kernels of a PTX text. An error has the code and the words that go to the compiler's log.
pub fn kernels(text: &str, driver: i32, capability: (i32, i32)) -> Result<Vec<String>, (Code, String)> {
    let invalid = |words: String| (INVALID_PTX, words);
    let version = directive(text, ".version").and_then(decimal);
    let version = version.ok_or_else(|| invalid("expected a .version".into()))?;
    if version > newest(driver) {
        let words = format!("Unsupported .version {}.{}", version.0, version.1);
        return Err((UNSUPPORTED_PTX_VERSION, words));
    }
    let target = directive(text, ".target").and_then(|target| target.strip_prefix("sm_"));
    let target = target.and_then(|target| target.parse::<i32>().ok());
    let target = target.ok_or_else(|| invalid("expected a .target sm_NN".into()))?;
    if target > capability.0 * 10 + capability.1 {
        return Err(invalid(format!(
            "SM version specified by .target (sm_{target}) is higher than the device's"
        )));
    }
    if directive(text, ".address_size") != Some("64") {
        return Err(invalid("expected .address_size 64".into()));
    }
    let mut kernels = Vec::new();
    for (begin, _) in text.match_indices(".entry ") {
        let entry = &text[begin + ".entry ".len()..];
        let name = entry.split(['(', ' ', '\n']).next().unwrap_or_default().to_string();
        let parameters = entry.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let parameters = parameters.map_or("", |(parameters, _)| parameters);
        check_parameters(&name, parameters).map_err(invalid)?;
        kernels.push(name);
    }
    Ok(kernels)
}

/// A kernel takes one parameter by value, as large as the emulator says where it knows the kernel.
fn check_parameters(kernel: &str, parameters: &str) -> Result<(), String> {
    let sizes: Vec<usize> = parameters
        .split(',')
        .filter_map(|parameter| parameter.split_once('[')?.1.split_once(']')?.0.parse().ok())
        .collect();
    match (sizes.as_slice(), gru_cuda_emulator::argument_size(kernel)) {
        ([_], None) => Ok(()),
        ([size], Some(expected)) if *size == expected => Ok(()),
        (sizes, expected) => {
            Err(format!("expected one parameter of {expected:?} bytes in {kernel}, received {sizes:?}"))
        }
    }
}

/// The first word after a directive.
fn directive<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

fn decimal(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The newest PTX that a driver takes, roughly: 7.8 came with CUDA 11.8, 8.0 with 12.0, 9.0 with 13.0.
fn newest(driver: i32) -> (i32, i32) {
    (driver / 1000 - 4, driver % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = ".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry unknown(\n\
                        .param .align 8 .b8 unknown_param_0[24]\n)\n{ ret; }\n";

    fn error(text: &str) -> (Code, String) {
        kernels(text, 12_000, (8, 0)).unwrap_err()
    }

    #[test]
    fn finds_the_kernels() {
        assert_eq!(kernels(TEXT, 12_000, (8, 0)).unwrap(), ["unknown"]);
        let known = TEXT.replace("unknown", "carry_state");
        let size = gru_cuda_emulator::argument_size("carry_state").unwrap();
        let right = known.replace("[24]", &format!("[{size}]"));
        assert_eq!(kernels(&right, 12_000, (8, 0)).unwrap(), ["carry_state"]);
        assert!(error(&known).1.contains("in carry_state, received [24]"));
    }

    #[test]
    fn refuses_what_a_driver_would() {
        assert_eq!(error("not PTX").0, INVALID_PTX);
        assert_eq!(error(&TEXT.replace("7.8", "9.0")).0, UNSUPPORTED_PTX_VERSION);
        assert_eq!(error(&TEXT.replace("sm_80", "sm_90")).0, INVALID_PTX);
        assert_eq!(error(&TEXT.replace("64", "32")).0, INVALID_PTX);
        assert!(kernels(&TEXT.replace("7.8", "9.0"), 13_000, (8, 0)).is_ok());
        assert!(kernels(&TEXT.replace("sm_80", "sm_90"), 12_000, (12, 0)).is_ok());
    }
}
