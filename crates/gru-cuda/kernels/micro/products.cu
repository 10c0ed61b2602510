// products_*: how long products of tensor cores take: one after the other (chains of 1), and as many as there is room
// for (8 of each warp side by side).
//
// Geometry: any number of blocks of 256 threads: 8 warps, 2 on each of a multiprocessor's four tensor cores.
// Determinism: results are small integers, exact in any order; cycles are what they are.

#include "micro_task.cuh"

struct ProductTf32 {
    using Word = float;
    static constexpr unsigned DEPTH = 8;
    DEVICE static Word one() { return to_tf32(1.0f); }
    DEVICE static void multiply(Register<float> (&d)[4], const Register<Word> (&a)[4], const Register<Word> (&b)[2]) {
        mma_m16n8k8_tf32(d, a, b);
    }
};

struct ProductBf16 {
    using Word = unsigned;
    static constexpr unsigned DEPTH = 16;
    DEVICE static Word one() { return pack_bf16(1.0f, 1.0f); }
    DEVICE static void multiply(Register<float> (&d)[4], const Register<Word> (&a)[4], const Register<Word> (&b)[2]) {
        mma_m16n8k16_bf16(d, a, b);
    }
};

// Each chain adds a product of ones to its own sums, `rounds` times.
// result: 4 CHAINS DEPTH rounds, the sums of a thread added up, of each thread.
template <class Product, int CHAINS>
DEVICE void products(const MicroTask& task) {
    Register<typename Product::Word> a[4], b[2];
    for (int i = 0; i < 4; i++) a[i] = Product::one();
    for (int i = 0; i < 2; i++) b[i] = Product::one();
    Register<float> sums[CHAINS][4];
#pragma unroll
    for (int chain = 0; chain < CHAINS; chain++) {
#pragma unroll
        for (int i = 0; i < 4; i++) sums[chain][i] = 0.0f;
    }
    __syncthreads();
    const long long begin = cycles();
    for (int round = 0; round < task.rounds; round++) {
#pragma unroll
        for (int chain = 0; chain < CHAINS; chain++) Product::multiply(sums[chain], a, b);
    }
    // Of the last products too.
    float total = 0.0f;
#pragma unroll
    for (int chain = 0; chain < CHAINS; chain++) {
#pragma unroll
        for (int i = 0; i < 4; i++) total += sums[chain][i];
    }
    task.result[blockIdx.x * MICRO_THREADS + threadIdx.x] = unsigned(total);
    __syncthreads();
    const long long end = cycles();
    if (threadIdx.x == 0) task.cycles[blockIdx.x] = unsigned(end - begin);
}

KERNEL(products_tf32_1, MICRO_THREADS, MicroTask) { products<ProductTf32, 1>(task); }
KERNEL(products_tf32_8, MICRO_THREADS, MicroTask) { products<ProductTf32, 8>(task); }
KERNEL(products_bf16_1, MICRO_THREADS, MicroTask) { products<ProductBf16, 1>(task); }
KERNEL(products_bf16_8, MICRO_THREADS, MicroTask) { products<ProductBf16, 8>(task); }
