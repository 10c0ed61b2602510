// What one launch of a kernel is given. Mirrors src/task.rs, which documents every field, field for field.
#pragma once

#include "device.cuh"

// Threads of every block.
constexpr int THREADS = 256;

struct Task {
    int vocab_size;      // V, padded to a multiple of 16
    int hidden_size;     // H, padded to a multiple of 16
    int batch_size;      // B
    int num_steps;       // T
    int rows;            // R = T B
    int step;
    int candidate_bias;
    int carries_state;
    int output_slot, input_slot, bias_slot, num_slots;

    Region<float> w_x, w_h, b, b_q, w_y, b_y, dense;
    Region<float> gradient_w_x, gradient_w_h, gradient_b, gradient_w_y, gradient_b_y, gradient_dense;
    Region<double> squares;

    Region<unsigned> ids, starts;
    Region<float> learning_rate, max_grad_norm;
    Region<unsigned> num_runs, run_ids, run_begins, run_rows;
    Region<double> loss_sum, gradient_norm;

    Region<unsigned> cursor, reported, stopped;
    Region<float> rate;

    Region<float> state;
    Region<unsigned> inputs, targets;
    Region<float> h, r, z, q, n, logits, part_max, part_sum, loss, dh, dq, dn;

    Region<unsigned long long> words;
};
