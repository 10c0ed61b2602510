// Device memory: what is allocated, and the shadow of it that the race checks keep.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "clock.h"

namespace emulator {

// One allocation: where it lies, and its shadow, one for every 4 bytes.
struct Allocation {
  std::uintptr_t begin;
  std::uintptr_t end;
  Shadow* shadow;  // null: races are not checked
  Shadow* shadow_of(std::uintptr_t address) const {
    return shadow == nullptr ? nullptr : shadow + (address - begin) / 4;
  }
};

// All live allocations of the process; any system thread may call these.
std::uintptr_t allocate(std::size_t bytes);  // 0 if there is no memory; every byte is 0xff
bool release(std::uintptr_t address);
bool copy_to(std::uintptr_t address, const void* bytes, std::size_t count);  // false: not all in one allocation
bool copy_from(void* bytes, std::uintptr_t address, std::size_t count);

// The allocations as they are when a launch begins.
class Allocations {
 public:
  void refresh(bool with_shadow);
  // The one that was found last: most accesses go there.
  const Allocation& last() const { return found; }
  // The one that holds all of [begin, begin + bytes), or null.
  const Allocation* find(std::uintptr_t begin, std::size_t bytes);

 private:
  Allocation found{};
  std::vector<Allocation> all;  // ascending
};

}  // namespace emulator
