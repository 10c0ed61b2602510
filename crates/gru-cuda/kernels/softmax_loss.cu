// softmax_loss: the loss of every row, and the gradient of its logits in their place. The row's maximum and sum come
// from what the projection left of every 64 columns, so the logits are read once.
//
//   loss = log(sum exp(logits)) - logits[target]        dlogits = softmax(logits) - onehot(target)
//
// Geometry: one block of 256 threads a row; a thread takes every 256th four of the characters. Each warp puts the
// parts together for itself: they are few, and nothing waits.
// Determinism: a lane adds up every 32nd part in order, in f64, then the lanes are added up by twos.

#include "tiles.cuh"

KERNEL(softmax_loss, THREADS, Task) {
    const int row = blockIdx.x, vocab = task.vocab_size, lane = threadIdx.x % 32;
    const int parts = (vocab + PART_COLUMNS - 1) / PART_COLUMNS;
    const int target = task.targets[row];
    Region<float> logits = task.logits.from(row * vocab);
    Region<float> maxima = task.part_max.from(row * parts), sums = task.part_sum.from(row * parts);

    float largest = maxima[lane % parts];
    for (int part = lane; part < parts; part += 32) largest = fmaxf(largest, maxima[part]);
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) largest = fmaxf(largest, shuffle_xor(largest, mask));
    double sum = 0.0;
    for (int part = lane; part < parts; part += 32) sum += double(sums[part]) * expf(maxima[part] - largest);
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);

    const float scale = float(1.0 / sum);
    for (int id = threadIdx.x * 4; id < vocab; id += THREADS * 4) {
        Register<float> four[4];
        load_four(logits, id, four);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float logit = four[i];
            four[i] = expf(logit - largest) * scale;
            if (id + i == target) {
                four[i] -= 1.0f;
                task.loss[row] = largest - logit + logf(float(sum));
            }
        }
        store_four(logits, id, four);
    }
}
