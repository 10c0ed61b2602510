// The allocations of the process.
#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace emulator {
namespace {

constexpr std::size_t allocation_alignment = 256;

std::mutex lock;

// By the address where they begin.
std::map<std::uintptr_t, Allocation>& table() {
  static std::map<std::uintptr_t, Allocation> all;
  return all;
}

// Whether all of it lies in one allocation; under the lock.
bool holds(std::uintptr_t begin, std::size_t bytes) {
  auto after = table().upper_bound(begin);
  if (after == table().begin()) return false;
  const Allocation& allocation = std::prev(after)->second;
  return begin <= allocation.end && bytes <= allocation.end - begin;
}

}  // namespace

std::uintptr_t allocate(std::size_t bytes) {
  if (bytes > SIZE_MAX / 8) return 0;
  std::size_t whole = (bytes + allocation_alignment - 1) / allocation_alignment * allocation_alignment;
  if (whole == 0) whole = allocation_alignment;
  void* memory = std::aligned_alloc(allocation_alignment, whole);
  // Zeroed pages cost nothing until they are touched.
  void* shadow = std::calloc(whole / 4, sizeof(Shadow));
  if (memory == nullptr || shadow == nullptr) {
    std::free(memory);
    std::free(shadow);
    return 0;
  }
  std::memset(memory, 0xff, whole);
  auto begin = reinterpret_cast<std::uintptr_t>(memory);
  std::lock_guard<std::mutex> guard(lock);
  table()[begin] = {begin, begin + bytes, static_cast<Shadow*>(shadow)};
  return begin;
}

bool release(std::uintptr_t address) {
  std::lock_guard<std::mutex> guard(lock);
  auto found = table().find(address);
  if (found == table().end()) return false;
  std::free(found->second.shadow);
  std::free(reinterpret_cast<void*>(address));
  table().erase(found);
  return true;
}

bool copy_to(std::uintptr_t address, const void* bytes, std::size_t count) {
  std::lock_guard<std::mutex> guard(lock);
  if (!holds(address, count)) return false;
  std::memcpy(reinterpret_cast<void*>(address), bytes, count);
  return true;
}

bool copy_from(void* bytes, std::uintptr_t address, std::size_t count) {
  std::lock_guard<std::mutex> guard(lock);
  if (!holds(address, count)) return false;
  std::memcpy(bytes, reinterpret_cast<const void*>(address), count);
  return true;
}

void Allocations::refresh(bool with_shadow) {
  std::lock_guard<std::mutex> guard(lock);
  found = {};
  all.clear();
  for (const auto& entry : table()) {
    all.push_back(entry.second);
    if (!with_shadow) all.back().shadow = nullptr;
  }
}

const Allocation* Allocations::find(std::uintptr_t begin, std::size_t bytes) {
  std::size_t low = 0, high = all.size();  // the last that begins at or before `begin` is in [low - 1, high - 1]
  while (low < high) {
    std::size_t middle = (low + high) / 2;
    if (all[middle].begin <= begin) low = middle + 1;
    else high = middle;
  }
  if (low == 0 || begin > all[low - 1].end || bytes > all[low - 1].end - begin) return nullptr;
  found = all[low - 1];
  return &found;
}

}  // namespace emulator
