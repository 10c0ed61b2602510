// The planted faults: copies of the product's kernels, each with one line broken. build.rs compiles a copy of
// the kernel for each and registers it under `fault/kernel`; tests/planted.rs shows that each is caught.

/// One broken copy.
struct PlantedFault {
    /// What is wrong.
    name: &'static str,
    /// The kernel that is registered, its file in `kernels/` without `.cu`.
    kernel: &'static str,
    /// The file that is changed.
    file: &'static str,
    /// A piece of it that stands there once.
    right: &'static str,
    /// What stands there instead.
    wrong: &'static str,
}

const FAULTS: [PlantedFault; 23] = [
    PlantedFault {
        name: "missing_barrier_before_product",
        kernel: "projection",
        file: "product.cuh",
        right: "        __syncthreads();\n#pragma unroll\n        for (int k = 0; k < DEPTH; k++) {",
        wrong: "#pragma unroll\n        for (int k = 0; k < DEPTH; k++) {",
    },
    PlantedFault {
        name: "missing_barrier_after_product",
        kernel: "hidden_gradient",
        file: "product.cuh",
        right: "begin < length; begin += DEPTH) {\n        __syncthreads();",
        wrong: "begin < length; begin += DEPTH) {",
    },
    PlantedFault {
        name: "missing_barrier_before_slices_are_added",
        kernel: "step_forward",
        file: "step_forward.cu",
        right: "    __syncthreads();\n\n    const int lane",
        wrong: "    const int lane",
    },
    PlantedFault {
        name: "missing_barrier_after_target_is_read",
        kernel: "softmax_loss",
        file: "softmax_loss.cu",
        right: "    __syncthreads();  // the target's logit has been read\n",
        wrong: "",
    },
    PlantedFault {
        name: "off_by_one_at_the_edge_of_a_tile",
        kernel: "recurrent_gradient",
        file: "product.cuh",
        right: "row >= rows || column >= columns",
        wrong: "row > rows || column >= columns",
    },
    PlantedFault {
        name: "off_by_one_in_a_tile",
        kernel: "output_gradient",
        file: "product.cuh",
        right: "row_in_tile = threadIdx.x / 16 * PER_THREAD,",
        wrong: "row_in_tile = threadIdx.x / 16 * (PER_THREAD - 1),",
    },
    PlantedFault {
        name: "wrong_stride",
        kernel: "step_backward",
        file: "step_backward.cu",
        right: "(after + first_lane + lane) * columns + begin",
        wrong: "(after + first_lane + lane) * hidden + begin",
    },
    PlantedFault {
        name: "unwritten_output",
        kernel: "step_backward",
        file: "step_backward.cu",
        right: "    task.dn[cell] = dn;\n",
        wrong: "",
    },
    PlantedFault {
        name: "swapped_gates",
        kernel: "step_forward",
        file: "step_forward.cu",
        right: "    task.r[cell] = r;\n    task.z[cell] = z;",
        wrong: "    task.r[cell] = z;\n    task.z[cell] = r;",
    },
    PlantedFault {
        name: "first_row_left_out",
        kernel: "bias_gradients",
        file: "bias_gradients.cu",
        right: "int row = slice; row < task.rows",
        wrong: "int row = slice + 1; row < task.rows",
    },
    PlantedFault {
        name: "last_slot_left_out",
        kernel: "report_update",
        file: "report_update.cu",
        right: "slot < task.num_slots;",
        wrong: "slot < task.num_slots - 1;",
    },
    PlantedFault {
        name: "gradient_of_another_character",
        kernel: "descend",
        file: "descend.cu",
        right: "task.run_ids[update * task.rows + run] * columns",
        wrong: "(task.run_ids[update * task.rows + run] / 2) * columns",
    },
    PlantedFault {
        name: "applied_although_not_finite",
        kernel: "descend",
        file: "descend.cu",
        right: "    if (task.stopped[0]) return;\n",
        wrong: "",
    },
    PlantedFault {
        name: "state_of_the_step_before",
        kernel: "carry_state",
        file: "carry_state.cu",
        right: "task.rows * task.hidden_size + index",
        wrong: "(task.rows - task.batch_size) * task.hidden_size + index",
    },
    PlantedFault {
        name: "rows_of_the_update_before",
        kernel: "input_gradient",
        file: "input_gradient.cu",
        right: "const unsigned update = task.cursor[0];",
        wrong: "const unsigned update = 0;",
    },
    PlantedFault {
        name: "target_is_the_input",
        kernel: "begin_update",
        file: "begin_update.cu",
        right: "task.ids[position + 1]",
        wrong: "task.ids[position]",
    },
    PlantedFault {
        name: "uninitialised_register",
        kernel: "projection",
        file: "product.cuh",
        right: "for (int j = 0; j < PER_THREAD; j++) sums[i][j] = 0.0f;",
        wrong: "for (int j = 1; j < PER_THREAD; j++) sums[i][j] = 0.0f;",
    },
    PlantedFault {
        name: "uninitialised_register_of_a_gate",
        kernel: "step_forward",
        file: "step_forward.cu",
        right: "for (int gate = 0; gate < GATES; gate++) {\n        for (int lane = 0; lane < LANES; lane++) sums",
        wrong: "for (int gate = 0; gate < GATES - 1; gate++) {\n        for (int lane = 0; lane < LANES; lane++) sums",
    },
    PlantedFault {
        name: "missing_barrier_before_block_sum",
        kernel: "report_update",
        file: "block_sum.cuh",
        right: "Shared<double> scratch) {\n    scratch[threadIdx.x] = value;\n    __syncthreads();\n",
        wrong: "Shared<double> scratch) {\n    scratch[threadIdx.x] = value;\n",
    },
    PlantedFault {
        name: "missing_barrier_in_block_sum",
        kernel: "bias_gradients",
        file: "block_sum.cuh",
        right: "        __syncthreads();\n    }\n    double sum",
        wrong: "    }\n    double sum",
    },
    PlantedFault {
        name: "missing_barrier_after_block_sum",
        kernel: "report_update",
        file: "block_sum.cuh",
        right: "    double sum = scratch[0];\n    __syncthreads();\n",
        wrong: "    double sum = scratch[0];\n",
    },
    PlantedFault {
        name: "missing_barrier_before_block_max",
        kernel: "softmax_loss",
        file: "block_sum.cuh",
        right: "Shared<float> scratch) {\n    scratch[threadIdx.x] = value;\n    __syncthreads();\n",
        wrong: "Shared<float> scratch) {\n    scratch[threadIdx.x] = value;\n",
    },
    PlantedFault {
        name: "missing_barrier_in_block_max",
        kernel: "softmax_loss",
        file: "block_sum.cuh",
        right: "        __syncthreads();\n    }\n    float largest",
        wrong: "    }\n    float largest",
    },
];
