//! Who holds, stores and expects what in the persistent kernels: each weight and each unit of a lane belongs to one
//! thread, what all blocks store into an inbox in a phase is what its barrier expects, fragments of A and B
//! meet at the same words, and shared memory suffices.
//!
//! The formulas are those of `kernels/forward_*.cuh`, `backward_*.cuh` and `tensor_operand.cuh`, in one place.

use gru_cuda::Precision;
use gru_cuda::recurrence::{Exchange, Persistent, UNITS};
use std::collections::BTreeMap;

/// What an mbarrier can count (PTX ISA, "tx-count of the mbarrier object").
const MOST_BYTES: usize = (1 << 20) - 1;
/// Of static shared memory.
const MOST_SHARED_BYTES: usize = 48 << 10;
const GATES: usize = 3;

/// A store into an inbox: to which rank, from which word of the buffer on, how many of 4 bytes.
struct Store {
    peer: usize,
    place: usize,
    words: usize,
}

/// The kernels of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Forward,
    Backward,
}
use Pass::{Backward, Forward};

fn kernels() -> impl Iterator<Item = (Persistent, Pass)> {
    Persistent::all().flat_map(|pair| [(pair, Forward), (pair, Backward)])
}

/// Numbers in a word of an operand.
fn per_word(pair: Persistent) -> usize {
    if pair.precision == Precision::Bf16 { 2 } else { 1 }
}

/// What a phase stores into a buffer of an inbox, as `words` of ClusterExchange.
fn words_of_phase(pair: Persistent, pass: Pass) -> usize {
    match pass {
        Forward => pair.lanes() * pair.capacity / per_word(pair),
        Backward => pair.blocks() * UNITS * pair.lanes(),
    }
}

/// Words of a row of h, and from one row to the next.
fn row_of_h(pair: Persistent) -> (usize, usize) {
    let words = pair.capacity / per_word(pair);
    (words, if pair.precision == Precision::Fp32 { words } else { words + 16 })
}

/// The words of a buffer that a step reads.
fn words_read(pair: Persistent, pass: Pass) -> Vec<usize> {
    let (words, pitch) = row_of_h(pair);
    match pass {
        Forward => {
            (0..pair.lanes()).flat_map(|lane| (0..words).map(move |word| lane * pitch + word)).collect()
        }
        Backward => (0..words_of_phase(pair, pass)).collect(),
    }
}

/// What thread `thread` of the block of rank `rank` sends in a phase.
fn stores(pair: Persistent, pass: Pass, rank: usize, thread: usize) -> Vec<Store> {
    let (blocks, lanes) = (pair.blocks(), pair.lanes());
    let (warp, lane) = (thread / 32, thread % 32);
    let (_, pitch) = row_of_h(pair);
    match (pass, pair.precision) {
        (Forward, Precision::Fp32) => {
            if warp >= lanes {
                return vec![];
            }
            let place = warp * pair.capacity + rank * UNITS + lane % 8 * 4;
            (0..blocks / 4).map(|i| Store { peer: lane / 8 + 4 * i, place, words: 4 }).collect()
        }
        (Forward, _) => {
            let fours = UNITS / per_word(pair) / 4;
            let senders = 32 / fours;
            let place = warp * pitch + rank * UNITS / per_word(pair) + lane % fours * 4;
            (0..blocks.div_ceil(senders))
                .map(|i| Store { peer: lane / fours + i * senders, place, words: 4 })
                .filter(|store| store.peer < blocks)
                .collect()
        }
        (Backward, Precision::Fp32) => {
            if thread >= pair.capacity {
                return vec![];
            }
            vec![Store { peer: thread / UNITS, place: (rank * UNITS + thread % UNITS) * lanes, words: 4 }]
        }
        (Backward, _) => {
            let tiles = pair.capacity / 128;
            let of_tile = |tile: usize| {
                let number = warp * tiles + tile;
                let unit = number % 2 * 16 + lane / 4;
                let place = (rank * UNITS + unit) * lanes + 2 * (lane % 4);
                [place, place + 8 * lanes].map(|place| Store { peer: number / 2, place, words: 2 })
            };
            (0..tiles).flat_map(of_tile).collect()
        }
    }
}

/// The unit of the block and the lane of the group whose state a thread keeps.
fn cell(pair: Persistent, pass: Pass, thread: usize) -> Option<(usize, usize)> {
    if thread >= UNITS * pair.lanes() {
        return None;
    }
    match pass {
        Forward => Some((thread % 32, thread / 32)),
        Backward => Some((thread / pair.lanes(), thread % pair.lanes())),
    }
}

/// The words of 16 that thread `member` of 4 loads, and hence which one element `element` of its fragment of product
/// `product` is: of A, where elements 0 and 1 are of two rows, and of B.
const fn word_of_a(member: usize, product: usize, element: usize) -> usize {
    4 * member + 2 * product + element / 2
}
const fn word_of_b(member: usize, product: usize, element: usize) -> usize {
    4 * member + 2 * product + element
}

/// Row, gate and unit of the block of each weight that a thread holds.
fn weights(pair: Persistent, pass: Pass, thread: usize) -> Vec<(usize, usize, usize)> {
    let (warp, lane, per_word) = (thread / 32, thread % 32, per_word(pair));
    let (group, member) = (lane / 4, lane % 4);
    let mut held = vec![];
    match (pass, pair.precision) {
        (Forward, Precision::Fp32) => {
            let (part, four) = (thread % 16, thread / 16);
            for row in
                (0..pair.capacity / 64).flat_map(|piece| (0..4).map(move |i| piece * 64 + part * 4 + i))
            {
                held.extend((0..4).map(|column| (row, four / 8, four % 8 * 4 + column)));
            }
        }
        (Forward, _) => {
            let (slice, first_unit, pieces) = (warp % 4, warp / 4 * 16, pair.capacity / per_word / 64);
            for (piece, i) in (0..pieces).flat_map(|piece| (0..8).map(move |i| (piece, i))) {
                let word = (slice * pieces + piece) * 16 + word_of_a(member, i / 4, i % 4);
                let unit = first_unit + group + i % 2 * 8;
                for row in word * per_word..(word + 1) * per_word {
                    held.extend((0..GATES).map(|gate| (row, gate, unit)));
                }
            }
        }
        (Backward, Precision::Fp32) => {
            let (first_row, part) = (thread % 64, thread / 64);
            for row in (0..pair.capacity / 64).map(|i| first_row + 64 * i) {
                held.extend((0..16).map(|column| (row, part / 2, part % 2 * 16 + column)));
            }
        }
        (Backward, _) => {
            let (tiles, pieces) = (pair.capacity / 128, GATES * UNITS / per_word / 16);
            for (tile, piece) in (0..tiles).flat_map(|tile| (0..pieces).map(move |piece| (tile, piece))) {
                for i in 0..8 {
                    let row = (warp * tiles + tile) * 16 + group + i % 2 * 8;
                    let word = piece * 16 + word_of_a(member, i / 4, i % 4);
                    let columns = word * per_word..(word + 1) * per_word;
                    held.extend(columns.map(|column| (row, column / UNITS, column % UNITS)));
                }
            }
        }
    }
    held
}

/// Where word `word` of a lane's dq lies in BPTT on tensor cores, and how many words a lane has there.
fn place_of_dq(pair: Persistent, lane: usize, word: usize) -> (usize, usize) {
    let pitch = (GATES * UNITS / per_word(pair)).next_multiple_of(32);
    (lane * pitch + ((word / 4) ^ (lane % 2 * 4 + lane / 2)) * 4 + word % 4, pitch)
}

/// Bytes of the shared arrays.
fn shared_bytes(pair: Persistent, pass: Pass) -> usize {
    let (lanes, cells) = (pair.lanes(), UNITS * pair.lanes());
    let (_, pitch) = row_of_h(pair);
    // Words from other blocks lie in device memory, and need no barriers.
    let (inbox, barriers) = match pair.exchange {
        Exchange::Cluster => (2 * pair.blocks() * cells, 2 * 8),
        Exchange::Words => (0, 0),
    };
    let words = match (pass, pair.precision) {
        (Forward, Precision::Fp32) => 2 * lanes * pitch + 2 * lanes * (GATES * UNITS + 8),
        (Forward, _) => 2 * lanes * pitch + 2 * 4 * GATES * lanes * (UNITS + 4),
        (Backward, Precision::Fp32) => inbox + GATES * cells + 6 * pair.capacity * lanes,
        (Backward, _) => inbox + 2 * lanes * place_of_dq(pair, 0, 0).1,
    };
    4 * words + barriers
}

fn counts<T: Ord>(of: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    of.for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

/// How often each occurs, if that is once for each of these and never for others.
#[track_caller]
fn assert_each_once<T: Ord + std::fmt::Debug>(
    found: impl Iterator<Item = T>,
    wanted: impl Iterator<Item = T>,
    what: impl std::fmt::Debug,
) {
    let (found, wanted) = (counts(found), counts(wanted));
    let wrong = found.iter().find(|(value, count)| wanted.get(value) != Some(count));
    assert_eq!(wrong, None, "{what:?}: (value, how often)");
    assert_eq!(found.len(), wanted.len(), "{what:?}: different values");
}

#[test]
fn a_phase_stores_each_word_of_every_inbox_once_and_as_many_bytes_as_it_expects() {
    for (pair, pass) in kernels() {
        let mut to = vec![vec![]; pair.blocks()];
        for (rank, thread) in (0..pair.blocks()).flat_map(|rank| (0..pair.threads()).map(move |i| (rank, i)))
        {
            for Store { peer, place, words } in stores(pair, pass, rank, thread) {
                assert_eq!(place % words, 0, "{pair:?} {pass:?}: a store begins at a multiple of its size");
                to[peer].extend(place..place + words);
            }
        }
        for stored in to {
            assert_eq!(stored.len(), words_of_phase(pair, pass), "{pair:?} {pass:?}");
            assert_each_once(stored.into_iter(), words_read(pair, pass).into_iter(), (pair, pass));
        }
    }
}

#[test]
fn a_phase_expects_bytes_that_a_barrier_can_count() {
    for pair in Persistent::all() {
        let bytes = [Forward, Backward].map(|pass| 4 * words_of_phase(pair, pass));
        let size_of_operand = if pair.precision == Precision::Bf16 { 2 } else { 4 };
        assert_eq!(bytes[0], pair.lanes() * pair.capacity * size_of_operand, "{pair:?}");
        assert_eq!(bytes[1], pair.blocks() * UNITS * pair.lanes() * 4, "{pair:?}");
        // Below zero and above: what comes early, and what is expected.
        assert!(bytes.iter().all(|&bytes| bytes > 0 && bytes <= MOST_BYTES), "{pair:?}: {bytes:?}");
    }
}

#[test]
fn each_unit_of_each_lane_is_of_one_thread() {
    for ((pair, pass), batch_size) in
        kernels().flat_map(|kernel| [1, 7, 8, 9, 32, 33].map(|size| (kernel, size)))
    {
        let (groups, lanes) = (pair.groups(batch_size), pair.lanes());
        assert!((groups - 1) * lanes < batch_size, "{pair:?}: a group without a lane at batch {batch_size}");
        let mut cells = vec![];
        for block in 0..groups * pair.blocks() {
            for (unit, lane) in (0..pair.threads()).filter_map(|thread| cell(pair, pass, thread)) {
                let lane = block / pair.blocks() * lanes + lane;
                cells.push((lane, block % pair.blocks() * UNITS + unit));
            }
        }
        cells.retain(|(lane, _)| *lane < batch_size);
        let wanted = (0..batch_size).flat_map(|lane| (0..pair.capacity).map(move |unit| (lane, unit)));
        assert_each_once(cells.into_iter(), wanted, (pair, pass, batch_size));
    }
}

#[test]
fn each_weight_of_a_block_is_in_one_register() {
    for (pair, pass) in kernels() {
        let held = (0..pair.threads()).flat_map(|thread| weights(pair, pass, thread));
        let wanted = (0..pair.capacity)
            .flat_map(|row| (0..GATES).flat_map(move |gate| (0..UNITS).map(move |unit| (row, gate, unit))));
        assert_each_once(held, wanted, (pair, pass));
    }
}

/// By the layout of fragments of the PTX ISA, in words: element e of A is at row group + 8 (e % 2) and depth
/// member + 4 (e / 2), element e of B at depth member + 4 e and column group.
#[test]
fn two_products_of_fragments_are_the_product_over_16_words() {
    let a = |row: usize, word: usize| (row * 31 + word * word * 7) as i64 % 97 - 48;
    let b = |word: usize, column: usize| (word * 13 + column * column * 5) as i64 % 89 - 44;
    let mut sums = [[0; 8]; 16];
    for product in 0..2 {
        let (mut tile_a, mut tile_b) = ([[None; 8]; 16], [[None; 8]; 8]);
        for (group, member) in (0..8).flat_map(|group| (0..4).map(move |member| (group, member))) {
            for e in 0..4 {
                let row = group + e % 2 * 8;
                let place = &mut tile_a[row][member + e / 2 * 4];
                assert_eq!(place.replace(a(row, word_of_a(member, product, e))), None);
            }
            for e in 0..2 {
                let place = &mut tile_b[member + e * 4][group];
                assert_eq!(place.replace(b(word_of_b(member, product, e), group)), None);
            }
        }
        for (row, sums) in sums.iter_mut().enumerate() {
            for (column, sum) in sums.iter_mut().enumerate() {
                let factors =
                    (0..8).map(|depth| (tile_a[row][depth].unwrap(), tile_b[depth][column].unwrap()));
                *sum += factors.map(|(a, b)| a * b).sum::<i64>();
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (column, sum) in sums.iter().enumerate() {
            assert_eq!(
                *sum,
                (0..16).map(|word| a(row, word) * b(word, column)).sum::<i64>(),
                "{row}, {column}"
            );
        }
    }
}

#[test]
fn words_of_dq_lie_apart_and_four_by_four() {
    for pair in Persistent::all().filter(|pair| pair.precision != Precision::Fp32) {
        let words = GATES * UNITS / per_word(pair);
        let places = (0..pair.lanes()).flat_map(|lane| (0..words).map(move |word| (lane, word)));
        let mut taken = vec![false; pair.lanes() * place_of_dq(pair, 0, 0).1];
        for (lane, word) in places {
            let (place, _) = place_of_dq(pair, lane, word);
            assert!(!std::mem::replace(&mut taken[place], true), "{pair:?}: two words at {place}");
            assert_eq!(place, place_of_dq(pair, lane, word / 4 * 4).0 + word % 4, "{pair:?}");
            assert_eq!(place % 4, word % 4, "{pair:?}");
        }
    }
}

#[test]
fn shared_memory_is_what_the_arrays_take_and_suffices() {
    let manifest = include_str!("../kernels/manifest.json");
    for (pair, pass) in kernels() {
        let (name, bytes) =
            ([pair.forward_name(), pair.backward_name()][pass as usize], shared_bytes(pair, pass));
        assert!(bytes <= MOST_SHARED_BYTES, "{name}: {bytes}");
        // Each target's entry: "name": { "registers": ..., "sharedBytes": ..., ... }
        let key = format!("\"{name}\": {{");
        let compiled: Vec<usize> = manifest
            .split(&key)
            .skip(1)
            .map(|entry| {
                let number = entry.split("\"sharedBytes\": ").nth(1).and_then(|rest| rest.split(',').next());
                number.and_then(|number| number.trim().parse().ok()).expect("a number of bytes")
            })
            .collect();
        assert!(!compiled.is_empty(), "{name}: expected it in the manifest, received nothing");
        assert!(
            compiled.iter().all(|&found| found == bytes),
            "{name}: expected {bytes}, received {compiled:?}"
        );
    }
}
