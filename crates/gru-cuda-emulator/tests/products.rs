//! The matrix products outside of the recurrence, each on its own and in each precision: beside f64, at sizes that no
//! tile divides, and how much of its result one block computes.

mod support;

use gru_core::random::Random;
use gru_cuda::task::Region;
use gru_cuda::tile::{self, PART_COLUMNS, Tile};
use gru_cuda::{Kernel, Precision, Task};
use gru_cuda_emulator::{Options, launch};
use support::Buffer;

/// Lanes of the batch: the rows of h that lie before the first step's.
const LANES: usize = 3;

/// [rows, hidden, vocab]: less than a tile, parts of several, and a piece more than some along K.
const SIZES: [[usize; 3]; 4] = [[1, 16, 16], [45, 48, 80], [131, 80, 208], [65, 144, 16]];

/// A matrix [rows, columns].
struct Matrix {
    columns: usize,
    elements: Vec<f32>,
}

impl Matrix {
    fn new(rows: usize, columns: usize, number: &mut dyn FnMut() -> f32) -> Self {
        Self { columns, elements: (0..rows * columns).map(|_| number()).collect() }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        f64::from(self.elements[row * self.columns + column])
    }
}

/// Everything that the products take.
struct Operands {
    sizes: [usize; 3],
    h: Matrix,
    w_y: Matrix,
    b_y: Matrix,
    dlogits: Matrix,
    dq: Matrix,
}

impl Operands {
    fn new(sizes: [usize; 3], number: &mut dyn FnMut() -> f32) -> Self {
        let [rows, hidden, vocab] = sizes;
        Self {
            sizes,
            h: Matrix::new(rows + LANES, hidden, number),
            w_y: Matrix::new(hidden, vocab, number),
            b_y: Matrix::new(1, vocab, number),
            dlogits: Matrix::new(rows, vocab, number),
            dq: Matrix::new(rows, 3 * hidden, number),
        }
    }

    fn map(&self, change: impl Fn(f32) -> f32) -> Self {
        let change = |matrix: &Matrix| Matrix {
            columns: matrix.columns,
            elements: matrix.elements.iter().map(|&element| change(element)).collect(),
        };
        Self {
            sizes: self.sizes,
            h: change(&self.h),
            w_y: change(&self.w_y),
            b_y: change(&self.b_y),
            dlogits: change(&self.dlogits),
            dq: change(&self.dq),
        }
    }
}

/// A product: its kernel, its tile, [M, K, N] of its sizes, and the two factors of term k of element [m, n].
struct Product {
    kernel: fn(Precision) -> Kernel,
    tile: fn(Precision) -> Tile,
    shape: fn([usize; 3]) -> [usize; 3],
    factors: fn(&Operands, usize, usize, usize) -> [f64; 2],
}

const PRODUCTS: [Product; 4] = [
    Product {
        kernel: Kernel::Projection,
        tile: |_| tile::PROJECTION,
        shape: |[rows, hidden, vocab]| [rows, hidden, vocab],
        factors: |it, row, k, column| [it.h.at(LANES + row, k), it.w_y.at(k, column)],
    },
    Product {
        kernel: Kernel::HiddenGradient,
        tile: tile::hidden_gradient,
        shape: |[rows, hidden, vocab]| [rows, vocab, hidden],
        factors: |it, row, k, column| [it.dlogits.at(row, k), it.w_y.at(column, k)],
    },
    Product {
        kernel: Kernel::OutputGradient,
        tile: |_| tile::OUTPUT_GRADIENT,
        shape: |[rows, hidden, vocab]| [hidden, rows, vocab],
        factors: |it, row, k, column| [it.h.at(LANES + k, row), it.dlogits.at(k, column)],
    },
    Product {
        kernel: Kernel::RecurrentGradient,
        tile: |_| tile::RECURRENT_GRADIENT,
        shape: |[rows, hidden, _]| [hidden, rows, 3 * hidden],
        factors: |it, row, k, column| [it.h.at(k, row), it.dq.at(k, column)],
    },
];

/// What a launch left behind.
struct Computed {
    elements: Vec<f32>,
    squares: Vec<f64>,
    part_max: Vec<f32>,
    part_sum: Vec<f32>,
}

/// Runs a product on so many blocks, or on as many as cover its result; without the parts of rows if `parts` is false.
fn run(
    product: &Product,
    precision: Precision,
    operands: &Operands,
    blocks: Option<[usize; 2]>,
    parts: bool,
) -> Computed {
    let [rows, hidden, vocab] = operands.sizes;
    let [m, _, n] = (product.shape)(operands.sizes);
    let kernel = (product.kernel)(precision);
    let blocks = blocks.unwrap_or_else(|| (product.tile)(precision).blocks(m, n));
    let [h, w_y, b_y, dlogits, dq] =
        [&operands.h, &operands.w_y, &operands.b_y, &operands.dlogits, &operands.dq]
            .map(|matrix| Buffer::of(&matrix.elements));
    let (out, squares) = (Buffer::new(m * n, 4), Buffer::new(blocks[0] * blocks[1] + 2, 8));
    let [part_max, part_sum] = [(); 2].map(|()| Buffer::new(rows * vocab.div_ceil(PART_COLUMNS), 4));
    let is_projection = matches!(kernel, Kernel::Projection(_));
    let given = |region: Region| if parts { region } else { Region::default() };
    let task = Task {
        vocab_size: vocab as i32,
        hidden_size: hidden as i32,
        batch_size: LANES as i32,
        rows: rows as i32,
        output_slot: 1,
        w_y: w_y.region,
        b_y: b_y.region,
        h: h.region,
        dq: dq.region,
        logits: if is_projection { out.region } else { dlogits.region },
        dh: out.region,
        gradient_w_y: out.region,
        gradient_w_h: out.region,
        squares: squares.region,
        part_max: given(part_max.region),
        part_sum: given(part_sum.region),
        ..Task::default()
    };
    let blocks = blocks.map(|count| count as u32);
    let options = Options { seed: m as u64, check_races: true };
    launch(kernel.name(), blocks, kernel.threads(), bytemuck::bytes_of(&task), options).unwrap();
    Computed {
        elements: out.get(),
        squares: squares.get(),
        part_max: part_max.get(),
        part_sum: part_sum.get(),
    }
}

/// The exact element of a product, and the sum of its terms' absolute values.
fn exact(product: &Product, operands: &Operands, row: usize, column: usize) -> (f64, f64) {
    let [_, depth, _] = (product.shape)(operands.sizes);
    let bias = match (product.kernel)(Precision::Fp32) {
        Kernel::Projection(_) => operands.b_y.at(0, column),
        _ => 0.0,
    };
    (0..depth).fold((bias, bias.abs()), |(sum, size), k| {
        let [a, b] = (product.factors)(operands, row, k, column);
        (sum + a * b, size + (a * b).abs())
    })
}

/// As an operand of this precision.
fn rounded(value: f32, precision: Precision) -> f32 {
    let bits = match precision {
        Precision::Fp32 => return value,
        Precision::Tf32 => 10,
        Precision::Bf16 => 7,
    };
    let unit = 2_f64.powi(f64::from(value).abs().log2().floor() as i32 - bits);
    let units = f64::from(value) / unit;
    let nearest = if precision == Precision::Bf16 { units.round_ties_even() } else { units.round() };
    (nearest * unit) as f32
}

fn all(mut check: impl FnMut(&Product, Precision, [usize; 3])) {
    for product in &PRODUCTS {
        for precision in Precision::ALL {
            for sizes in SIZES {
                check(product, precision, sizes);
            }
        }
    }
}

/// An operand that is cut off instead of rounded is beyond what is allowed, as is a term left out.
#[test]
fn elements_are_sums_of_products_of_rounded_operands() {
    let mut random = Random::stream(31, "products");
    all(|product, precision, sizes| {
        let name = (product.kernel)(precision).name();
        let operands = Operands::new(sizes, &mut || random.next_f64() as f32 * 2.0 - 1.0);
        let computed = run(product, precision, &operands, None, true);
        // All but the bias, which is no operand.
        let rounded = operands.map(|element| rounded(element, precision));
        let operands = Operands { b_y: operands.b_y, ..rounded };
        let [m, _, n] = (product.shape)(sizes);
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let (expected, size) = exact(product, &operands, row, column);
            let received = f64::from(computed.elements[row * n + column]);
            let error = (received - expected).abs() / size;
            assert!(error < 1e-6, "{name} {sizes:?} [{row}, {column}]: {received} for {expected}");
        }
    });
}

/// Numbers whose products and sums are exact in every precision: each term counts once, or the sum is another.
#[test]
fn small_integers_give_exact_results_in_every_precision() {
    let mut random = Random::stream(32, "products");
    all(|product, precision, sizes| {
        let name = (product.kernel)(precision).name();
        let operands = Operands::new(sizes, &mut || (random.next_f64() * 15.0).floor() as f32 - 7.0);
        let computed = run(product, precision, &operands, None, true);
        let [m, _, n] = (product.shape)(sizes);
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let (expected, _) = exact(product, &operands, row, column);
            assert_eq!(
                f64::from(computed.elements[row * n + column]),
                expected,
                "{name} {sizes:?} [{row}, {column}]"
            );
        }
        let first = match (product.kernel)(precision) {
            Kernel::OutputGradient(_) => 1,
            Kernel::RecurrentGradient(_) => 0,
            _ => return,
        };
        // Its blocks have their slots, no more and no less, and all elements are in one of them.
        let slots = computed.squares.len() - 2;
        let expected: f64 = computed.elements.iter().map(|&element| f64::from(element).powi(2)).sum();
        assert_eq!(computed.squares[first..][..slots].iter().sum::<f64>(), expected, "{name} {sizes:?}");
        assert_eq!(computed.squares.iter().filter(|square| square.is_nan()).count(), 2, "{name} {sizes:?}");
    });
}

/// The tiles of `tile.rs` are the kernels'.
#[test]
fn one_block_computes_one_tile() {
    let operands = Operands::new([150, 144, 208], &mut || 1.0);
    for product in &PRODUCTS {
        for precision in Precision::ALL {
            let (kernel, tile) = ((product.kernel)(precision), (product.tile)(precision));
            let [m, _, n] = (product.shape)(operands.sizes);
            let computed = run(product, precision, &operands, Some([1, 1]), true);
            assert!(tile.rows < m && tile.columns < n, "{}: larger sizes", kernel.name());
            for (index, element) in computed.elements.iter().enumerate() {
                let is_inside = index / n < tile.rows && index % n < tile.columns;
                let words = format!("{} [{}, {}]", kernel.name(), index / n, index % n);
                assert!(element.is_nan() != is_inside, "{words}: {element}, of {tile:?}");
            }
        }
    }
}

#[test]
fn parts_of_a_row_are_its_maxima_and_sums_of_exponentials() {
    let mut random = Random::stream(33, "products");
    let product = &PRODUCTS[0];
    for precision in Precision::ALL {
        for sizes in SIZES {
            let vocab = sizes[2];
            let mut operands = Operands::new(sizes, &mut || random.next_f64() as f32 * 2.0 - 1.0);
            // As the padding of a vocabulary has it.
            operands.b_y.elements[vocab - 15..].fill(gru_cuda::arena::PADDING_BIAS);
            let computed = run(product, precision, &operands, None, true);
            let parts = computed.elements.chunks(vocab).flat_map(|row| row.chunks(PART_COLUMNS));
            for (index, part) in parts.enumerate() {
                let largest = part.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(computed.part_max[index], largest, "{precision:?} {sizes:?}, part {index}");
                let sum: f64 = part.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
                let error = (f64::from(computed.part_sum[index]) - sum).abs() / sum;
                assert!(error < 1e-6, "{precision:?} {sizes:?}, part {index}: {error:e}");
            }
            // Where nobody asks for them, the logits are the same.
            assert!(run(product, precision, &operands, None, false).elements == computed.elements);
        }
    }
}
