// products_bf16: the products of networks that are trained in bfloat16, a module of their own: a driver compiles it
// where there is such a network.

#include "hidden_gradient.cuh"
#include "output_gradient.cuh"
#include "projection.cuh"
#include "recurrent_gradient.cuh"

KERNEL(projection_bf16, THREADS, Task) { project<Bf16Tiles::Projection>(task); }
KERNEL(hidden_gradient_bf16, THREADS, Task) { compute_hidden_gradient<Bf16Tiles::HiddenGradient>(task); }
KERNEL(output_gradient_bf16, THREADS, Task) { compute_output_gradient<Bf16Tiles::OutputGradient>(task); }
KERNEL(recurrent_gradient_bf16, THREADS, Task) { compute_recurrent_gradient<Bf16Tiles::RecurrentGradient>(task); }
