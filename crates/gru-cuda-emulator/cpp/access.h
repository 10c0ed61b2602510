// Checked access: Region of device memory, Shared for the memory of a block, and Cell, an element of either.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "machine.h"

namespace emulator {

// Out of line: what happens seldom. What fails does not return.
void read_by_several(const void* place, Shadow& shadow);
[[noreturn]] void fail_race(const char* now, const void* place, Stamp before, const char* earlier);
[[noreturn]] void fail_four(const void* place);
[[noreturn]] void fail_shared_bounds(const char* name, unsigned count, long long index);
Shadow* check_region(const void* data, unsigned long long length, std::size_t size, unsigned long long index);

// Memory that nobody wrote holds nothing but ones. Device memory of which a kernel reads that is a fault; shared
// memory spreads it as NaN.
inline bool is_fresh(const void* value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 4) {
    std::uint32_t word;
    std::memcpy(&word, static_cast<const char*>(value) + i, sizeof word);
    if (word != 0xffffffff) return false;
  }
  return true;
}
void read_fresh(const void* place);

void report_race(const Thread& thread, const char* now, const void* place, Stamp before, const char* earlier);

inline void check_read(const void* place, Shadow& shadow) {
  const Thread& thread = *current;
  Stamp read = shadow.read;
  bool kept = read == thread.block_stamp || read == thread.warp_stamp || read == thread.clusters_stamp ||
              read == thread.view.self;
  if (kept && is_known(thread.view, shadow.write)) return;
  read_by_several(place, shadow);
}

inline void check_write(const void* place, Shadow& shadow) {
  const Thread& thread = *current;
  if (!is_known(thread.view, shadow.write)) fail_race("writes", place, shadow.write, "written");
  if (!is_known(thread.view, shadow.read)) fail_race("writes", place, shadow.read, "read");
  shadow.write = thread.view.self;
  shadow.read = 0;
}

// An element. Reads and writes check for races; `shadow` is null where that is off.
template <class T>
class Cell {
  static_assert(sizeof(T) % 4 == 0, "memory is checked in words of 4 bytes");

 public:
  Cell(T* the_place, Shadow* the_shadow) : place(the_place), shadow(the_shadow) {}
  Cell(const Cell&) = delete;

  operator T() && { return get(); }
  T operator=(T value) && { return set(value); }
  T operator=(Cell&& other) && { return set(other.get()); }
  T operator+=(T value) && { return set(get() + value); }
  T operator-=(T value) && { return set(get() - value); }
  T operator*=(T value) && { return set(get() * value); }

  T* const place;
  Shadow* const shadow;

 private:
  T get() const {
    if (shadow != nullptr)
      for (unsigned i = 0; i < sizeof(T) / 4; ++i) check_read(place, shadow[i]);
    T value = *place;
    if (__builtin_expect(is_fresh(&value, sizeof value), 0)) read_fresh(place);
    return value;
  }
  T set(T value) const {
    if (shadow != nullptr)
      for (unsigned i = 0; i < sizeof(T) / 4; ++i) check_write(place, shadow[i]);
    return *place = value;
  }
};

inline void check_four(const void* place) {
  if (reinterpret_cast<std::uintptr_t>(place) % 16 != 0) fail_four(place);
}

// Mirrors gru_cuda::task::Region.
template <class T>
struct Region {
  T* data;
  unsigned long long length;

  template <class Number>
  Cell<T> operator[](Number number) const {
    static_assert(std::is_integral<Number>::value, "an index is an integer");
    auto index = static_cast<unsigned long long>(static_cast<long long>(number));
    auto address = reinterpret_cast<std::uintptr_t>(data) + index * sizeof(T);
    const Allocation& last = machine->allocations.last();
    bool fine = index < length && address % sizeof(T) == 0 && address - last.begin < last.end - last.begin &&
                sizeof(T) <= last.end - address;
    Shadow* shadow;
    if (__builtin_expect(fine, 1)) shadow = last.shadow_of(address);
    else shadow = check_region(data, length, sizeof(T), index);
    return {reinterpret_cast<T*>(address), shadow};
  }

  // Nothing is left of a region from beyond its end; that is no fault until somebody reads it.
  Region from(unsigned long long offset) const {
    auto address = reinterpret_cast<std::uintptr_t>(data) + offset * sizeof(T);
    return {reinterpret_cast<T*>(address), offset < length ? length - offset : 0};
  }
};

// An array in the memory of one block, or what is left of it from an offset on.
template <class T>
struct Shared {
  T* data;  // the first element of the whole array
  Shadow* shadow;
  unsigned count;
  int offset;
  const Declaration* declaration;

  template <class Number>
  Cell<T> operator[](Number number) const {
    static_assert(std::is_integral<Number>::value, "an index is an integer");
    long long index = offset + static_cast<long long>(number);
    if (__builtin_expect(static_cast<unsigned long long>(index) >= count, 0))
      fail_shared_bounds(declaration->name, count, index);
    return {data + index, shadow == nullptr ? nullptr : shadow + index * static_cast<long long>(sizeof(T) / 4)};
  }

  Shared operator+(int more) const {
    Shared rest = *this;
    rest.offset += more;
    return rest;
  }
};

// The array of `block`; made, and filled with NaN, when it is asked for first.
const SharedArray& find_shared(Block& block, const Declaration& declaration, std::size_t bytes);

template <class T>
Shared<T> shared_array(const Declaration& declaration, unsigned count) {
  const SharedArray& array = find_shared(*current->block, declaration, count * sizeof(T));
  return {reinterpret_cast<T*>(array.data), array.shadow, count, 0, &declaration};
}

}  // namespace emulator
