// The table of kernels that the compiled sources register.
#pragma once
#include <cstddef>
#include <vector>

namespace emulator {

struct Kernel {
  const char* name;
  unsigned threads;
  unsigned cluster_size;
  std::size_t task_bytes;
  void (*entry)(const void* task);
};

struct Registration {
  Registration(const Kernel& kernel);
};

const std::vector<Kernel>& kernels();

}  // namespace emulator
