// begin_update: gathers what an update begins with.
//
//   inputs[row] = corpus[starts[lane] + t], targets[row] = the character after it       row = t B + lane
//   h[0 .. B] = carried state, or zeros
//   words = 0, what persistent kernels exchange, if they do: no tag of an update before is there
//
// Geometry: one thread an element, blocks of 256 over max(R, B H) elements; of `words` one of so many.
// Determinism: every element has one writer; nothing is summed.

#include "task.cuh"

KERNEL(begin_update, THREADS, Task) {
    int index = blockIdx.x * THREADS + threadIdx.x;
    if (index < task.rows) {
        int lane = index % task.batch_size;
        unsigned update = task.cursor[0];
        unsigned position = task.starts[update * task.batch_size + lane] + index / task.batch_size;
        task.inputs[index] = task.ids[position];
        task.targets[index] = task.ids[position + 1];
    }
    if (index < task.batch_size * task.hidden_size) {
        float carried = task.carries_state ? float(task.state[index]) : 0.0f;
        task.h[index] = carried;
    }
    for (int word = index; word < int(task.words.length); word += gridDim.x * THREADS) task.words[word] = 0;
}
