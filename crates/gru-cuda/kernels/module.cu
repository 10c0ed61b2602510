// The module that every device loads: every kernel but the products on tensor cores and the persistent ones; the
// products last, the others in the order in which an update runs them.

#include "begin_update.cu"
#include "step_forward.cu"
#include "softmax_loss.cu"
#include "step_backward.cu"
#include "input_gradient.cu"
#include "bias_gradients.cu"
#include "report_update.cu"
#include "descend.cu"
#include "carry_state.cu"
#include "products_fp32.cu"
