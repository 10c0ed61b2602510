// softmax_loss: the loss of every row, and the gradient of its logits in their place.
//
//   loss = log(sum exp(logits)) - logits[target]        dlogits = softmax(logits) - onehot(target)
//
// Geometry: one block of 256 threads a row; a thread takes every 256th character.
// Determinism: a thread sums its characters in their order, the block its threads by halves.

#include "block_sum.cuh"

KERNEL(softmax_loss, THREADS, Task) {
    SHARED(float, largest_scratch, THREADS);
    SHARED(double, sum_scratch, THREADS);
    const int row = blockIdx.x, vocab = task.vocab_size;
    const int target = task.targets[row];
    Region<float> logits = task.logits.from(row * vocab);

    float largest = logits[threadIdx.x % vocab];
    for (int id = threadIdx.x; id < vocab; id += THREADS) largest = fmaxf(largest, logits[id]);
    largest = block_max(largest, largest_scratch);

    double sum = 0.0;
    for (int id = threadIdx.x; id < vocab; id += THREADS) sum += expf(logits[id] - largest);
    sum = block_sum(sum, sum_scratch);
    if (threadIdx.x == 0) task.loss[row] = largest - logits[target] + logf(float(sum));
    __syncthreads();  // the target's logit has been read

    const float scale = float(1.0 / sum);
    for (int id = threadIdx.x; id < vocab; id += THREADS) {
        const float probability = expf(logits[id] - largest) * scale;
        logits[id] = id == target ? probability - 1.0f : probability;
    }
}
