// Fibers: a stack and a place to go on from. A CUDA thread runs on one until it must wait.
#pragma once
#include <cstddef>
#include <vector>

namespace emulator {

struct Fiber {
  void* context = nullptr;    // what switching needs to go on: see fiber.cpp
  char* stack = nullptr;      // lowest usable byte
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr; // AddressSanitizer's, while the fiber is away
};

// Stacks are made once per system thread and used again by every launch.
class Stacks {
 public:
  ~Stacks();
  // Gives `fiber` the stack of this number, and `entry` to begin with. `entry` must not return.
  void prepare(Fiber& fiber, std::size_t number, void (*entry)());

 private:
  std::vector<char*> stacks;
};

// The caller goes on when a fiber switches back to it.
void switch_to(Fiber& from, Fiber& to);
// Must be the first call on a new fiber.
void begin_fiber(Fiber& came_from);
// As switch_to, and `from` will never go on.
[[noreturn]] void leave_to(Fiber& from, Fiber& to);

}  // namespace emulator
