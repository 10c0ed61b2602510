//! Whether a network and its corpus fit a device, told before anything is allocated; and what would.

use crate::Recurrence;
use crate::arena::Arena;
use gru_core::{Error, Sizes};

/// Kept free beside what is counted: for graphs, whose size only the driver knows, and for the granularity in
/// which it gives memory.
pub const MARGIN: u64 = 64 << 20;

/// Bytes of an id of the corpus.
const ID_BYTES: u64 = 4;

/// What every hint ends with.
const OTHERWISE: &str = "or a GPU with more free memory";

/// Bytes of device memory that a network of these sizes takes, whose time steps run this way, with a corpus of so many
/// characters and the margin.
///
/// # Errors
/// [`Error::Size`].
pub fn bytes_needed(sizes: &Sizes, recurrence: Recurrence, corpus: usize) -> Result<u64, Error> {
    let exchanged = recurrence.words(sizes.batch_size) * size_of::<u64>();
    Ok(Arena::new(sizes)?.bytes as u64 + exchanged as u64 + corpus as u64 * ID_BYTES + MARGIN)
}

/// Checks that a network fits in `free` bytes, and its corpus beside it.
///
/// # Errors
/// [`Error::DeviceMemory`], whose hint names the option that makes it fit.
pub fn check_fits(sizes: &Sizes, recurrence: Recurrence, corpus: usize, free: u64) -> Result<(), Error> {
    let bytes = bytes_needed(sizes, recurrence, corpus)?;
    if bytes <= free {
        return Ok(());
    }
    Err(Error::DeviceMemory { bytes, free, hint: what_fits(sizes, recurrence, corpus, free) })
}

/// Checks that a corpus of so many characters fits in the `free` bytes that its network has left.
///
/// # Errors
/// [`Error::DeviceMemory`], likewise.
pub fn check_corpus_fits(corpus: usize, free: u64) -> Result<(), Error> {
    let bytes = corpus as u64 * ID_BYTES + MARGIN;
    if bytes <= free {
        return Ok(());
    }
    let hint = match free.saturating_sub(MARGIN) / ID_BYTES {
        0 | 1 => format!("use a smaller network, {OTHERWISE}"),
        characters => shorter_corpus(characters),
    };
    Err(Error::DeviceMemory { bytes, free, hint })
}

fn shorter_corpus(characters: u64) -> String {
    format!("use --max-chars {characters} or fewer, {OTHERWISE}")
}

/// The option that alone makes it fit: a shorter corpus if the network by itself does, else fewer lanes, else
/// fewer steps, else fewer hidden units. Each is taken to run the same way: what fewer lanes exchange in addition,
/// where only they run by words, is not counted, some megabytes at most.
fn what_fits(sizes: &Sizes, recurrence: Recurrence, corpus: usize, free: u64) -> String {
    let left = bytes_needed(sizes, recurrence, 0).map_or(0, |bytes| free.saturating_sub(bytes)) / ID_BYTES;
    // Less would not do for a single update.
    if corpus > 0 && left > (sizes.rows() + sizes.batch_size) as u64 {
        return shorter_corpus(left);
    }
    type Change = fn(&Sizes, usize) -> Sizes;
    let options: [(&str, usize, Change); 3] = [
        ("--batch-size", sizes.batch_size, |sizes, batch_size| Sizes { batch_size, ..*sizes }),
        ("--num-steps", sizes.num_steps, |sizes, num_steps| Sizes { num_steps, ..*sizes }),
        ("--hidden-size", sizes.hidden_size, |sizes, hidden_size| Sizes { hidden_size, ..*sizes }),
    ];
    for (option, value, change) in options {
        let fits =
            |value| bytes_needed(&change(sizes, value), recurrence, corpus).is_ok_and(|bytes| bytes <= free);
        if let Some(largest) = largest(value, fits) {
            return format!("use {option} {largest} or less, {OTHERWISE}");
        }
    }
    format!(
        "not even --batch-size 1, --num-steps 1 or --hidden-size 1 would fit: use --device cpu, {OTHERWISE}"
    )
}

/// The largest value below `too_large` that fits, if 1 does; the need grows with the value.
fn largest(mut too_large: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    if too_large <= 1 || !fits(1) {
        return None;
    }
    let mut fitting = 1;
    while too_large - fitting > 1 {
        let middle = fitting + (too_large - fitting) / 2;
        if fits(middle) { fitting = middle } else { too_large = middle }
    }
    Some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recurrence::{Exchange, Persistent};

    const SIZES: Sizes =
        Sizes { vocab_size: 1465, hidden_size: 256, batch_size: 512, num_steps: 35, candidate_bias: false };

    /// The option and value that a hint names.
    fn named(sizes: &Sizes, corpus: usize, free: u64) -> (String, usize) {
        let Err(Error::DeviceMemory { bytes, free: told, hint }) =
            check_fits(sizes, Recurrence::Steps, corpus, free)
        else {
            panic!("{free} bytes are too little");
        };
        assert!(bytes > free && told == free, "{bytes} of {free}");
        let words: Vec<&str> = hint.split(' ').collect();
        let at = words.iter().position(|word| word.starts_with("--")).expect(&hint);
        (words[at].into(), words[at + 1].parse().unwrap_or(0))
    }

    #[test]
    fn what_is_named_fits_and_one_more_does_not() {
        let free = 200 << 20;
        let (option, batch_size) = named(&SIZES, 20_000, free);
        assert_eq!(option, "--batch-size");
        let fits = |sizes: Sizes, corpus| check_fits(&sizes, Recurrence::Steps, corpus, free).is_ok();
        assert!(fits(Sizes { batch_size, ..SIZES }, 20_000));
        assert!(!fits(Sizes { batch_size: batch_size + 1, ..SIZES }, 20_000));

        let sizes = Sizes { batch_size: 1, num_steps: 20_000, ..SIZES };
        let (option, num_steps) = named(&sizes, 0, free);
        assert_eq!(option, "--num-steps");
        assert!(fits(Sizes { num_steps, ..sizes }, 0));
        assert!(!fits(Sizes { num_steps: num_steps + 1, ..sizes }, 0));

        let sizes = Sizes { batch_size: 1, num_steps: 1, hidden_size: 8000, ..SIZES };
        let (option, hidden_size) = named(&sizes, 0, free);
        assert_eq!(option, "--hidden-size");
        assert!(fits(Sizes { hidden_size, ..sizes }, 0));
        assert!(!fits(Sizes { hidden_size: hidden_size + 16, ..sizes }, 0));
    }

    #[test]
    fn a_corpus_counts_and_is_named_where_it_is_the_trouble() {
        let sizes = Sizes { batch_size: 32, ..SIZES };
        let free = bytes_needed(&sizes, Recurrence::Steps, 100_000).unwrap();
        assert_eq!(check_fits(&sizes, Recurrence::Steps, 100_000, free), Ok(()));
        assert_eq!(named(&sizes, 100_001, free), ("--max-chars".into(), 100_000));

        assert_eq!(check_corpus_fits(1000, MARGIN + 4000), Ok(()));
        let Err(Error::DeviceMemory { hint, .. }) = check_corpus_fits(1001, MARGIN + 4000) else {
            panic!("4 bytes are missing");
        };
        assert!(hint.contains("--max-chars 1000 "), "{hint}");
    }

    #[test]
    fn what_is_exchanged_through_device_memory_counts() {
        let words = Persistent::all().find(|pair| pair.exchange == Exchange::Words).unwrap();
        let [with, without] = [Recurrence::Persistent(words), Recurrence::Steps]
            .map(|recurrence| bytes_needed(&SIZES, recurrence, 100).unwrap());
        assert_eq!(with - without, 8 * words.words(SIZES.batch_size) as u64);
        assert!(check_fits(&SIZES, Recurrence::Persistent(words), 100, with).is_ok());
        assert!(check_fits(&SIZES, Recurrence::Persistent(words), 100, with - 1).is_err());
    }

    #[test]
    fn where_nothing_fits_it_says_so() {
        let Err(Error::DeviceMemory { hint, .. }) = check_fits(&SIZES, Recurrence::Steps, 0, 1 << 20) else {
            panic!("1 MiB is too little");
        };
        assert!(hint.starts_with("not even --batch-size 1") && hint.contains("--device cpu"), "{hint}");
    }
}
