// products_fp32: the products in f32. Those that writing text needs are always these.

#include "hidden_gradient.cuh"
#include "output_gradient.cuh"
#include "projection.cuh"
#include "recurrent_gradient.cuh"

KERNEL(projection_fp32, THREADS, Task) { project<Fp32Tiles::Projection>(task); }
KERNEL(hidden_gradient_fp32, THREADS, Task) { compute_hidden_gradient<Fp32Tiles::HiddenGradient>(task); }
KERNEL(output_gradient_fp32, THREADS, Task) { compute_output_gradient<Fp32Tiles::OutputGradient>(task); }
KERNEL(recurrent_gradient_fp32, THREADS, Task) { compute_recurrent_gradient<Fp32Tiles::RecurrentGradient>(task); }
