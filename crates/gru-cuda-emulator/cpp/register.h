// Variables of one thread.
#pragma once
#include <cstddef>
#include <cstring>

namespace emulator {

// One whose value comes later. A register of a GPU holds anything until then; here it is all ones, a NaN. The
// compiler's own pattern for such variables would be a finite number.
template <class T>
class Register {
 public:
  Register() { std::memset(&value, 0xff, sizeof value); }
  Register(T initial) : value(initial) {}

  operator T() const { return value; }
  Register& operator=(T other) { return value = other, *this; }
  Register& operator+=(T other) { return value += other, *this; }
  Register& operator-=(T other) { return value -= other, *this; }
  Register& operator*=(T other) { return value *= other, *this; }

 private:
  T value;
};

// The values of several.
template <class T, std::size_t count>
struct Values {
  T all[count];
  explicit Values(const Register<T> (&registers)[count]) {
    for (std::size_t i = 0; i < count; ++i) all[i] = registers[i];
  }
  void give(Register<T> (&registers)[count]) const {
    for (std::size_t i = 0; i < count; ++i) registers[i] = all[i];
  }
};

}  // namespace emulator
