// What checked access does out of line: shared arrays, rare cases, and the words of faults.
#include "access.h"

#include <cstdio>
#include <cstring>
#include <string>

namespace emulator {
namespace {

// Names a region by its place in the task: the field that begins at the address, or else last before it. The
// type of the elements is not known here, only that none is longer than 8 bytes.
std::string name_region(std::uintptr_t address) {
  const auto* task = static_cast<const char*>(machine->launch.task);
  std::uintptr_t nearest = 0;
  std::string name = "a region that is not in the task";
  for (std::size_t i = 0; i + 16 <= machine->launch.task_bytes; i += 8) {
    std::uint64_t field[2];
    std::memcpy(field, task + i, sizeof field);
    if (field[0] <= nearest || field[0] > address || (address - field[0]) / 8 > field[1]) continue;
    nearest = field[0];
    name = "the region at byte " + std::to_string(i) + " of the task";
  }
  return name;
}

// The shared array that a place is in, or null.
const SharedArray* shared_at(const void* place) {
  const auto* byte = static_cast<const char*>(place);
  for (unsigned i = 0; i < machine->num_blocks; ++i)
    for (const SharedArray& array : machine->blocks[i]->arrays)
      if (byte >= array.data && byte < array.data + array.bytes) return &array;
  return nullptr;
}

std::string name_place(const void* place) {
  if (const SharedArray* array = shared_at(place)) {
    auto offset = static_cast<const char*>(place) - array->data;
    std::string words = "byte " + std::to_string(offset) + " of " + std::to_string(array->bytes);
    return words + " of shared array '" + array->declaration->name + "'";
  }
  char address[32];
  std::snprintf(address, sizeof address, "%p", place);
  return std::string("device memory at ") + address + ", in " + name_region(reinterpret_cast<std::uintptr_t>(place));
}

void report_region(Fault kind, const void* data, unsigned long long length, std::size_t size, long long index,
                   const char* why) {
  std::string region = name_region(reinterpret_cast<std::uintptr_t>(data));
  machine->report(kind, current, "element %lld of %s, of %llu elements of %zu bytes%s", index, region.c_str(), length,
                  size, why);
}

}  // namespace

void report_race(const Thread& thread, const char* now, const void* place, Stamp before, const char* earlier) {
  machine->report(Fault::race, &thread, "%s %s, %s by %s, and nothing orders the two", now, name_place(place).c_str(),
                  earlier, machine->describe(before).c_str());
}

void read_fresh(const void* place) {
  if (shared_at(place) != nullptr) return;
  machine->report(Fault::unwritten, current, "reads %s, which holds what nobody wrote", name_place(place).c_str());
  machine->abandon();
}

// The reports return, so that no string is left behind on a fiber that never goes on.
void fail_race(const char* now, const void* place, Stamp before, const char* earlier) {
  report_race(*current, now, place, before, earlier);
  machine->abandon();
}

void fail_four(const void* place) {
  machine->report(Fault::alignment, current, "16 bytes at once at %s, which is no multiple of that",
                  name_place(place).c_str());
  machine->abandon();
}

void fail_shared_bounds(const char* name, unsigned count, long long index) {
  machine->report(Fault::bounds, current, "element %lld of shared array '%s' of %u", index, name, count);
  machine->abandon();
}

void read_by_several(const void* place, Shadow& shadow) {
  const Thread& thread = *current;
  if (!is_known(thread.view, shadow.write)) fail_race("reads", place, shadow.write, "written");
  Stamp self = thread.view.self;
  if (is_known(thread.view, shadow.read)) {
    shadow.read = self;
  } else if (serial_of(shadow.read) != serial_of(self)) {
    shadow.read = thread.clusters_stamp;
  } else if (shadow.read != thread.clusters_stamp) {
    std::uint32_t counter = counter_of(shadow.read);
    if (counter < thread.counter) counter = thread.counter;
    shadow.read = make_stamp(serial_of(self), machine->roster.group(who_of(shadow.read), thread.who), counter);
  }
}

Shadow* check_region(const void* data, unsigned long long length, std::size_t size, unsigned long long index) {
  auto address = reinterpret_cast<std::uintptr_t>(data) + index * size;
  const Allocation* allocation = machine->allocations.find(address, size);
  if (index < length && address % size == 0 && allocation != nullptr) return allocation->shadow_of(address);
  auto number = static_cast<long long>(index);
  if (index >= length) report_region(Fault::bounds, data, length, size, number, "");
  else if (allocation == nullptr) report_region(Fault::bounds, data, length, size, number, ": not allocated");
  else report_region(Fault::alignment, data, length, size, number, ": its address is no multiple of that");
  machine->abandon();
}

const SharedArray& find_shared(Block& block, const Declaration& declaration, std::size_t bytes) {
  for (const SharedArray& array : block.arrays)
    if (array.declaration == &declaration) return array;
  std::size_t begin = (block.shared_bytes + 15) / 16 * 16;
  if (begin + bytes > max_shared_bytes) {
    machine->report(Fault::launch, current, "shared array '%s' of %zu bytes: of %zu a block has, %zu are in use",
                    declaration.name, bytes, max_shared_bytes, begin);
    machine->abandon();
  }
  block.shared_bytes = begin + bytes;
  char* data = block.shared.data() + begin;
  std::memset(data, 0xff, bytes);
  Shadow* shadow = nullptr;
  if (machine->launch.check_races) {
    shadow = block.shadow.data() + begin / 4;
    std::memset(static_cast<void*>(shadow), 0, (bytes + 3) / 4 * sizeof(Shadow));
  }
  block.arrays.push_back({&declaration, data, bytes, shadow});
  return block.arrays.back();
}

}  // namespace emulator
