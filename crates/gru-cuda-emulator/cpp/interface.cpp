// What the Rust side calls (src/foreign.rs).
#include <cstring>
#include <string>

#include "cluster.h"
#include "machine.h"

using emulator::Fault;

namespace {

thread_local emulator::Machine own_machine;

// What the parameters of a kernel may have, unless both its GPU and its driver are newer than what is supported.
constexpr std::size_t max_task_bytes = 4096;
constexpr unsigned max_blocks_x = 0x7fffffff, max_blocks_y = 65535;

Fault refuse(std::string words) {
  own_machine.message = std::move(words);
  return Fault::launch;
}

const emulator::Kernel* find(const char* name) {
  for (const emulator::Kernel& kernel : emulator::kernels())
    if (std::strcmp(kernel.name, name) == 0) return &kernel;
  return nullptr;
}

}  // namespace

extern "C" {

std::size_t emulator_kernel_count() { return emulator::kernels().size(); }
const char* emulator_kernel_name(std::size_t number) { return emulator::kernels()[number].name; }
std::size_t emulator_task_bytes(std::size_t number) { return emulator::kernels()[number].task_bytes; }
unsigned emulator_cluster_size(std::size_t number) { return emulator::kernels()[number].cluster_size; }

std::uint64_t emulator_allocate(std::size_t bytes) { return emulator::allocate(bytes); }
bool emulator_free(std::uint64_t address) { return emulator::release(address); }
bool emulator_write(std::uint64_t address, const void* bytes, std::size_t count) {
  return emulator::copy_to(address, bytes, count);
}
bool emulator_read(void* bytes, std::uint64_t address, std::size_t count) {
  return emulator::copy_from(bytes, address, count);
}

// `task` is aligned to 16 bytes. Gives a Fault.
int emulator_launch(const char* name, unsigned blocks_x, unsigned blocks_y, unsigned threads, const void* task,
                    std::size_t task_bytes, std::uint64_t seed, bool check_races) {
  auto launch = [&] {
    std::string kernel_words = std::string("kernel '") + name + "'";
    const emulator::Kernel* kernel = find(name);
    if (kernel == nullptr) return refuse("there is no " + kernel_words);
    if (threads != kernel->threads || threads % 32 != 0 || threads == 0 || threads > 1024)
      return refuse(kernel_words + " is compiled for " + std::to_string(kernel->threads) +
                    " threads, launched with " + std::to_string(threads));
    if (task_bytes != kernel->task_bytes)
      return refuse(kernel_words + " takes a task of " + std::to_string(kernel->task_bytes) + " bytes, received " +
                    std::to_string(task_bytes));
    if (task_bytes > max_task_bytes)
      return refuse(kernel_words + " takes a task of " + std::to_string(task_bytes) + " bytes, of at most " +
                    std::to_string(max_task_bytes));
    if (blocks_x == 0 || blocks_y == 0 || blocks_x > max_blocks_x || blocks_y > max_blocks_y || blocks_x % kernel->cluster_size != 0)
      return refuse(kernel_words + " cannot run on " + std::to_string(blocks_x) + " x " + std::to_string(blocks_y) +
                    " blocks in clusters of " + std::to_string(kernel->cluster_size));
    return own_machine.run({kernel, {blocks_x, blocks_y, 1}, task, task_bytes, seed, check_races});
  };
  return static_cast<int>(launch());
}

// Words of the last launch of this system thread that failed; up to `capacity` bytes. Gives their number.
std::size_t emulator_message(char* words, std::size_t capacity) {
  const std::string& message = own_machine.message;
  std::size_t count = message.size() < capacity ? message.size() : capacity;
  std::memcpy(words, message.data(), count);
  return count;
}

}
