//! What this machine can do at most in f32, for `npm run bench` to compare the training with.
//!
//! `cargo run --release -p gru-core --example sgemm_peak -- THREADS` prints one line of JSON, in GFLOP/s of
//! all threads together: `sgemm`, square products by the gemm crate, one product after the other on each
//! thread; and `fma`, multiply-adds on registers alone, null where pulp knows no vector instructions of the
//! processor. Each is the best of several rounds.

mod peak;

use std::hint::black_box;

/// Rounds whose best counts.
const ROUNDS: usize = 10;
/// Widths of the square matrices: large enough for full speed, and three of them fit into a server's cache.
const WIDTHS: [usize; 2] = [768, 1024];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Some(threads) = argument.parse().ok().filter(|threads| (1..=1024).contains(threads)) else {
        eprintln!("expected a number of threads from 1 to 1024, received {argument:?}");
        std::process::exit(2);
    };
    let sgemm =
        WIDTHS.map(|width| peak::best(threads, ROUNDS, || product(width))).into_iter().fold(0.0, f64::max);
    let fma = peak::fma(threads, ROUNDS).map_or("null".to_string(), |fma| format!("{fma:.1}"));
    println!("{{\"threads\":{threads},\"sgemm\":{sgemm:.1},\"fma\":{fma}}}");
}

/// One product of square matrices.
fn product(width: usize) -> impl FnMut() -> f64 {
    let values = |factor: usize| (0..width * width).map(|i| (i * factor % 17) as f32).collect::<Vec<f32>>();
    let (a, b) = (values(3), values(5));
    let mut to = vec![0.0_f32; width * width];
    move || {
        let stride = width as isize;
        // SAFETY: the three matrices are `width` columns one after the other, of `width` elements each, and
        // `to` is borrowed mutably, so it overlaps neither `a` nor `b`; it is only written (`read_dst` false).
        unsafe {
            gemm_f32::gemm::f32::get_gemm_fn()(
                width,
                width,
                width,
                to.as_mut_ptr(),
                stride,
                1,
                false,
                a.as_ptr(),
                stride,
                1,
                b.as_ptr(),
                stride,
                1,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm_common::Parallelism::None,
            );
        }
        black_box(&to);
        2.0 * (width as f64).powi(3)
    }
}
