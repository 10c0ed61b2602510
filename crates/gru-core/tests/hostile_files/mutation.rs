//! Files that are wrong in ways that a reader may not expect: bytes changed, and headers of JSON that are built wrong.
//! The same seed gives the same file.

use gru_core::model_file::ModelFile;
use gru_core::random::Random;
use gru_core::{Layout, Sizes};

/// Numbers at the edges of the types and of what a header may say.
const NUMBERS: [&str; 24] = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "8",
    "9",
    "12",
    "15",
    "36",
    "60",
    "-1",
    "-0",
    "0.5",
    "1e3",
    "1e400",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e19",
    "3074457345618258603",
];
const DTYPES: [&str; 14] = [
    "F32",
    "I32",
    "U32",
    "F64",
    "F16",
    "BF16",
    "U8",
    "I64",
    "BOOL",
    "F4",
    "F8_E4M3",
    "f32",
    "",
    "F32\\n\\u001b[31m\\ud83d",
];
const NAMES: [&str; 12] = [
    "gru.weight_ih_l0",
    "gru.weight_hh_l0",
    "gru.bias_ih_l0",
    "gru.bias_hh_l0",
    "output.weight",
    "output.bias",
    "trainer.state",
    "__metadata__",
    "",
    "gru.weight_ih_l1",
    "\\u0000\\n\\u202e",
    "__proto__",
];
/// Values of JSON where something else stands in a header.
const VALUES: [&str; 14] = [
    "null",
    "true",
    "\"\"",
    "\"F32\"",
    "{}",
    "[]",
    "[0,0]",
    "[[],[]]",
    "{\"a\":\"b\"}",
    "{\"gru-native\":null}",
    "{\"gru-native\":\"\"}",
    "{\"gru-native\":\"{\\\"formatVersion\\\":1}\",\"format\":\"pt\"}",
    "\"\\ud800\"",
    "1e999",
];
/// Bytes that mean something to a parser of JSON.
const TOKENS: [&[u8]; 18] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\x00",
    b"\xff\xfe",
    b"\xf0\x9f",
    b"\"__metadata__\":{}",
];
const FLOATS: [f32; 10] = [
    0.0,
    -0.0,
    1.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// A source of choices.
pub struct Choices(Random);

impl Choices {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Self {
        Self(Random::stream(seed, "hostile files"))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// The contents of a small, valid file.
pub fn small_model(choices: &mut Choices) -> ModelFile {
    let (vocab_size, hidden_size) = (1 + choices.below(6), 1 + choices.below(5));
    let sizes =
        Sizes { vocab_size, hidden_size, batch_size: 1, num_steps: 1, candidate_bias: choices.once_in(2) };
    let value = |at: usize| at as f32 * 0.25 - 3.1;
    ModelFile {
        vocab_size,
        hidden_size,
        candidate_bias: sizes.candidate_bias,
        parameters: (0..Layout::new(&sizes).len()).map(value).collect(),
        state: (0..choices.below(4) * hidden_size).map(value).collect(),
        metadata: choices.one_of(&["", "{}", "{\"formatVersion\":1,\"vocabulary\":[\"夜\",\"\\n\"]}"]).into(),
    }
}

/// The bytes of a file, most of them damaged.
pub fn hostile_file(choices: &mut Choices) -> Vec<u8> {
    if choices.once_in(2) {
        return rebuilt(choices);
    }
    let mut bytes = small_model(choices).encode().expect("a valid model");
    let changes = choices.below(6);
    for _ in 0..changes {
        change(choices, &mut bytes);
    }
    bytes
}

/// One change of some bytes, most often in the header.
fn change(choices: &mut Choices, bytes: &mut Vec<u8>) {
    let end = if choices.once_in(4) { bytes.len() } else { bytes.len().min(700) };
    let at = choices.below(end);
    let token = choices.one_of(&TOKENS);
    match choices.below(8) {
        _ if bytes.is_empty() => bytes.extend_from_slice(token),
        0 => bytes[at] ^= 1 << choices.below(8),
        1 => bytes[at] = choices.below(256) as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.splice(at..at, token.iter().copied())),
        4 => {
            let until = (at + token.len()).min(bytes.len());
            bytes.splice(at..until, token.iter().copied());
        }
        5 => {
            let until = (at + 1 + choices.below(16)).min(bytes.len());
            bytes.drain(at..until);
        }
        6 => {
            let part = bytes[at..(at + 1 + choices.below(64)).min(bytes.len())].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let length = choices.0.next_u64() >> choices.below(64);
            bytes.splice(..bytes.len().min(8), length.to_le_bytes());
        }
    }
}

/// A file put together anew: a header that may lie in any of its parts, before values that may be any.
fn rebuilt(choices: &mut Choices) -> Vec<u8> {
    let model = small_model(choices);
    let (vocab, hidden) = (model.vocab_size, model.hidden_size);
    let mut tensors = vec![
        (NAMES[0], vec![3 * hidden, vocab]),
        (NAMES[1], vec![3 * hidden, hidden]),
        (NAMES[2], vec![3 * hidden]),
        (NAMES[3], vec![3 * hidden]),
        (NAMES[4], vec![vocab, hidden]),
        (NAMES[5], vec![vocab]),
    ];
    if choices.once_in(2) {
        tensors.push((NAMES[6], vec![choices.below(3), hidden]));
    }
    for last in (1..tensors.len()).rev() {
        tensors.swap(last, choices.below(last + 1)); // any order is allowed
    }
    let lies = choices.below(3); // none in a third of the files
    let mut entries: Vec<String> = vec![];
    let mut end = 0;
    for (name, shape) in tensors {
        let begin = end;
        end += 4 * shape.iter().product::<usize>();
        entries.push(entry(name, "F32", &format!("{shape:?}"), &format!("[{begin},{end}]")));
    }
    for _ in 0..lies {
        lie(choices, &mut entries);
    }
    if choices.once_in(2) {
        let metadata = if lies == 0 { VALUES[11].into() } else { value(choices) };
        entries.insert(choices.below(entries.len() + 1), format!("\"__metadata__\":{metadata}"));
    }
    let mut header = format!("{{{}}}", entries.join(","));
    header.extend((0..choices.below(9)).map(|_| ' '));
    let length = if lies > 0 && choices.once_in(8) { choices.below(2 * header.len()) } else { header.len() };
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    let odd = choices.once_in(3);
    for at in 0..end / 4 {
        let number = if odd && choices.once_in(8) { choices.one_of(&FLOATS) } else { at as f32 * 0.25 - 3.0 };
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    if lies > 0 && choices.once_in(8) {
        bytes.resize(bytes.len() + choices.below(9) - 4, 0);
    }
    bytes
}

fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}")
}

/// Makes one entry of a header wrong.
fn lie(choices: &mut Choices, entries: &mut Vec<String>) {
    let at = choices.below(entries.len());
    let name = choices.one_of(&NAMES);
    match choices.below(10) {
        0 => drop((entries.len() > 1).then(|| entries.remove(at))),
        1 => entries.push(entries[at].clone()), // the same key twice
        2 => entries[at] = format!("\"{name}\":{}", value(choices)),
        3 => {
            let (shape, offsets) = (list(choices), list(choices));
            entries.push(entry(name, choices.one_of(&DTYPES), &shape, &offsets));
        }
        4 => entries[at] = entries[at].replacen("F32", choices.one_of(&DTYPES), 1),
        5 => entries[at] = entries[at].replacen("\"shape\":[", "\"shape\":[1,", 1),
        // The same bytes in another shape.
        8 => entries[at] = transposed(&entries[at]),
        6 => entries[at] = entries[at].replacen("data_offsets", "data_offset", 1),
        7 => {
            let (from, to) = ("\"shape\":[", format!("\"shape\":[{},", choices.one_of(&NUMBERS)));
            entries[at] = entries[at].replacen(from, &to, 1);
        }
        _ => {
            // An empty tensor more, or thousands of them.
            let many = if choices.once_in(64) { choices.below(3000) } else { 1 };
            entries.extend((0..many).map(|i| entry(&format!("{name}{i}"), "F32", "[0]", "[0,0]")));
        }
    }
}

/// An entry whose dimensions change places.
fn transposed(entry: &str) -> String {
    let Some((before, rest)) = entry.split_once("\"shape\":[") else { return entry.into() };
    let Some((shape, after)) = rest.split_once(']') else { return entry.into() };
    let dimensions: Vec<&str> = shape.split(',').rev().map(str::trim).collect();
    format!("{before}\"shape\":[{}]{after}", dimensions.join(","))
}

/// A list of numbers, of any length.
fn list(choices: &mut Choices) -> String {
    let length = if choices.once_in(64) { choices.below(4000) } else { choices.below(5) };
    let numbers: Vec<&str> = (0..length).map(|_| choices.one_of(&NUMBERS)).collect();
    format!("[{}]", numbers.join(","))
}

/// Any value of JSON: a plain one, or one that is deep, wide or long.
fn value(choices: &mut Choices) -> String {
    let many = if choices.once_in(64) { choices.below(20_000) } else { choices.below(140) };
    match choices.below(40) {
        0 => "[".repeat(many) + &"]".repeat(many),
        1 => "{\"a\":".repeat(many) + "0" + &"}".repeat(many),
        2 => format!("[{}0]", "[0],".repeat(many)),
        3 => format!("{{\"gru-native\":\"{}\"}}", "\\u001b\\n夜".repeat(many)),
        4 => format!("{{{}\"\":\"\"}}", (0..many).map(|i| format!("\"{i}\":\"\",")).collect::<String>()),
        5 => format!("{{\"dtype\":\"{}\",\"shape\":[],\"data_offsets\":[0,4]}}", "x\\n".repeat(many)),
        6 => list(choices),
        7 => choices.one_of(&NUMBERS).into(),
        _ => choices.one_of(&VALUES).into(),
    }
}
