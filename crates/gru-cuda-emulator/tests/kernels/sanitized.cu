// Mistakes of plain C++ that only the sanitizers see (tests/sanitizers.rs), if `shift` is 1. Never compiled for a GPU.

#include "memory.cuh"

KERNEL(heap_overflow, 32, MemoryTask) {
    if (threadIdx.x != 0) return;
    const int count = blockDim.x / 8;  // 4, which the compiler does not know: else UBSan's check would come first
    float* numbers = new float[count]();
    numbers[count - 1 + task.shift] = 1.0f;
    task.out[0] = numbers[0];
    delete[] numbers;
}

KERNEL(signed_overflow, 32, MemoryTask) {
    const int largest = 0x7fffffff;
    if (threadIdx.x == 0) task.out[0] = float(largest + task.shift);
}
