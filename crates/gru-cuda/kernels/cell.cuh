// cell: what one hidden unit of one lane computes in a time step, forward and backward. Every kernel of the
// recurrence takes it from here.
#pragma once

#include "task.cuh"

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// A number for each gate of a unit.
struct Gates {
    float r, z, n;
};

// A unit after a step: gates, the recurrent part of the candidate, hidden state.
struct UnitState {
    float r, z, q, n, h;
};

//   r = sigmoid(input_r + product_r)      q = product_n + b_q
//   z = sigmoid(input_z + product_z)      n = tanh(input_n + r q)      h' = z h + (1 - z) n
//
// input: W_x[id] + b; product: h W_h; before: h.
DEVICE UnitState step_unit(const Gates& input, const Gates& product, float b_q, float before) {
    const float r = sigmoid(input.r + product.r);
    const float z = sigmoid(input.z + product.z);
    const float q = product.n + b_q;
    const float n = tanhf(input.n + r * q);
    return {r, z, q, n, z * before + (1.0f - z) * n};
}

// What BPTT needs of a step, and what the outer products read; `cell` is row * H + unit.
DEVICE void store_unit(const Task& task, int cell, const UnitState& unit) {
    task.r[cell] = unit.r;
    task.z[cell] = unit.z;
    task.q[cell] = unit.q;
    task.n[cell] = unit.n;
    task.h[cell + task.batch_size * task.hidden_size] = unit.h;
}

// What store_unit wrote, with the hidden state before the step in h's place.
DEVICE UnitState load_unit(const Task& task, int cell) {
    return {task.r[cell], task.z[cell], task.q[cell], task.n[cell], task.h[cell]};
}

// The gradient of a unit: of what goes into each gate, and of the recurrent part of the candidate.
struct UnitGradient {
    float dr, dz, dn, dq;
};

//   dn' = d (1 - z) (1 - n^2)      dz' = d (h - n) z (1 - z)      dr' = dn' q r (1 - r)      dq = dn' r
//
// d: the whole gradient that reaches h'; unit: as load_unit gives it.
DEVICE UnitGradient unit_gradient(float d, const UnitState& unit) {
    const float dn = d * (1.0f - unit.z) * (1.0f - unit.n * unit.n);
    const float dz = d * (unit.h - unit.n) * unit.z * (1.0f - unit.z);
    return {dn * unit.q * unit.r * (1.0f - unit.r), dz, dn, dn * unit.r};
}

DEVICE void store_gradient(const Task& task, int row, int unit, const UnitGradient& gradient) {
    const int hidden = task.hidden_size;
    task.dn[row * hidden + unit] = gradient.dn;
    task.dq[row * 3 * hidden + unit] = gradient.dr;
    task.dq[row * 3 * hidden + hidden + unit] = gradient.dz;
    task.dq[row * 3 * hidden + 2 * hidden + unit] = gradient.dq;
}
