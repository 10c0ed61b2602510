// products_tf32: the products of networks that are trained in TF32, a module of their own: a driver compiles it where
// there is such a network.

#include "hidden_gradient.cuh"
#include "output_gradient.cuh"
#include "projection.cuh"
#include "recurrent_gradient.cuh"

KERNEL(projection_tf32, THREADS, Task) { project<Tf32Tiles::Projection>(task); }
KERNEL(hidden_gradient_tf32, THREADS, Task) { compute_hidden_gradient<Tf32Tiles::HiddenGradient>(task); }
KERNEL(output_gradient_tf32, THREADS, Task) { compute_output_gradient<Tf32Tiles::OutputGradient>(task); }
KERNEL(recurrent_gradient_tf32, THREADS, Task) { compute_recurrent_gradient<Tf32Tiles::RecurrentGradient>(task); }
