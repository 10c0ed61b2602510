// persistent: what the kernels that run all time steps in one launch have in common: who computes what.
//
// The grid is groups of CAPACITY / BLOCK_UNITS blocks. A group has a slice of LANES lanes of the batch, and each of
// its blocks BLOCK_UNITS hidden units of it with all three gates, whose columns of W_h stay in registers. Units from
// H to CAPACITY and lanes beyond the batch are computed as zeros and never reach memory.
#pragma once

#include "cell.cuh"
#include "exchange.cuh"

constexpr int GATES = 3;

// W_h[row][gate H + unit .. + 4], or zeros beyond H; `unit` is a multiple of 4.
DEVICE void load_weights(const Task& task, int row, int gate, int unit, Register<float> (&four)[4]) {
    const int hidden = task.hidden_size;
    if (row < hidden && unit < hidden) {
        load_four(task.w_h, row * GATES * hidden + gate * hidden + unit, four);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) four[i] = 0.0f;
    }
}

// W_h[row][gate H + unit], or zero beyond H.
DEVICE float load_weight(const Task& task, int row, int gate, int unit) {
    const int hidden = task.hidden_size;
    if (row >= hidden || unit >= hidden) return 0.0f;
    return task.w_h[row * GATES * hidden + gate * hidden + unit];
}

// The hidden state of a unit that the update begins from, or zero beyond the batch or H.
DEVICE float load_state(const Task& task, int lane, int unit) {
    if (lane >= task.batch_size || unit >= task.hidden_size) return 0.0f;
    return task.h[lane * task.hidden_size + unit];
}

// The character that a lane reads at a step; of the last step for those behind it, so that it can be asked for ahead.
DEVICE unsigned character(const Task& task, int step, int lane) {
    const int last = task.num_steps - 1;
    return task.inputs[(step < last ? step : last) * task.batch_size + lane];
}

// W_x[id] of a unit.
DEVICE Gates load_input(const Task& task, unsigned id, int unit) {
    Region<float> row = task.w_x.from(id * unsigned(GATES * task.hidden_size) + unit);
    return {row[0], row[task.hidden_size], row[2 * task.hidden_size]};
}

// One unit of one lane of the forward pass, with what it reads fetched ahead of its step.
struct ForwardUnit {
    int unit, lane;     // of the network and of the batch
    bool is_active;     // it is in the network and in the batch
    float h, b_q;
    Gates bias, input;  // `input`: of the next step
    unsigned id;        // of the step after it

    DEVICE void begin(const Task& task, int the_unit, int the_lane) {
        unit = the_unit;
        lane = the_lane;
        is_active = unit < task.hidden_size && lane < task.batch_size;
        h = b_q = 0.0f;
        bias = input = {0.0f, 0.0f, 0.0f};
        id = 0;
        if (!is_active) return;
        const int hidden = task.hidden_size;
        h = task.h[lane * hidden + unit];
        bias = {task.b[unit], task.b[hidden + unit], task.b[2 * hidden + unit]};
        b_q = task.b_q[unit];
        input = load_input(task, character(task, 0, lane), unit);
        id = character(task, 1, lane);
    }

    // Moves h on by a step. What is to be stored is given back, since others wait for h first.
    DEVICE UnitState step(const Gates& product) {
        if (!is_active) return {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        const Gates total = {input.r + bias.r, input.z + bias.z, input.n + bias.n};
        const UnitState state = step_unit(total, product, b_q, h);
        h = state.h;
        return state;
    }

    // Stores what `step` gave and fetches what the next steps read.
    DEVICE void store_and_fetch(const Task& task, int step, const UnitState& state) {
        if (!is_active) return;
        store_unit(task, (step * task.batch_size + lane) * task.hidden_size + unit, state);
        input = load_input(task, id, unit);
        id = character(task, step + 2, lane);
    }
};

// One unit of one lane of BPTT, likewise.
struct BackwardUnit {
    int unit, lane;
    bool is_active;
    float carried;    // z D of the step after
    float dh;         // from the logits, of the next step to compute
    UnitState state;  // likewise

    DEVICE void begin(const Task& task, int the_unit, int the_lane) {
        unit = the_unit;
        lane = the_lane;
        is_active = unit < task.hidden_size && lane < task.batch_size;
        carried = dh = 0.0f;
        state = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        fetch(task, task.num_steps - 1);
    }

    // `recurrent`: what comes from the step after through W_h.
    DEVICE UnitGradient step(float recurrent) {
        const float d = dh + (carried + recurrent);
        carried = state.z * d;
        return unit_gradient(d, state);
    }

    DEVICE void store(const Task& task, int step, const UnitGradient& gradient) {
        if (is_active) store_gradient(task, step * task.batch_size + lane, unit, gradient);
    }

    DEVICE void fetch(const Task& task, int step) {
        if (!is_active || step < 0) return;
        const int cell = (step * task.batch_size + lane) * task.hidden_size + unit;
        dh = task.dh[cell];
        state = load_unit(task, cell);
    }
};
