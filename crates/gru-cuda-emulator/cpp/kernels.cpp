// The table of kernels.
#include "kernels.h"

namespace emulator {
namespace {

// Made by the first registration: the order in which sources are initialised is open.
std::vector<Kernel>& table() {
  static std::vector<Kernel> all;
  return all;
}

}  // namespace

Registration::Registration(const Kernel& kernel) { table().push_back(kernel); }

const std::vector<Kernel>& kernels() { return table(); }

}  // namespace emulator
