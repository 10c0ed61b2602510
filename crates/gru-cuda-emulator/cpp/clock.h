// What happened before what, for the race checks: vector clocks over the threads of a cluster.
//
// Every access by a thread carries a stamp: the serial number of its cluster, who made it, and the counter of
// that thread. A thread's clock says, for each thread of its cluster, up to which counter it knows what that
// one did. A thread learns by waiting: what others knew and did before they arrived. Two accesses to a word, one
// of them a write, are a race unless the later one's thread knows the earlier one.
//
// A word keeps its last write and its reads since. Several readers are kept as one: as their warp, their block,
// or all of the cluster; a clock knows a group as far as it knows each of it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace emulator {

using Stamp = std::uint64_t;  // 28 bits serial, 13 bits who, 23 bits counter

constexpr unsigned counter_bits = 23;
constexpr unsigned who_bits = 13;
constexpr unsigned serial_shift = counter_bits + who_bits;
constexpr std::uint32_t max_counter = (1u << counter_bits) - 1;
constexpr std::uint32_t max_who = (1u << who_bits) - 1;
constexpr std::uint32_t max_serial = (1u << 28) - 1;

// Who: 0 is nobody, known to all; 1 is blocks of several clusters, known to nobody.
constexpr std::uint32_t several_clusters = 1;
constexpr std::uint32_t first_thread = 2;

constexpr Stamp make_stamp(std::uint32_t serial, std::uint32_t who, std::uint32_t counter) {
  return Stamp{serial} << serial_shift | Stamp{who} << counter_bits | counter;
}
constexpr std::uint32_t serial_of(Stamp stamp) { return static_cast<std::uint32_t>(stamp >> serial_shift); }
constexpr std::uint32_t who_of(Stamp stamp) { return static_cast<std::uint32_t>(stamp >> counter_bits) & max_who; }
constexpr std::uint32_t counter_of(Stamp stamp) { return static_cast<std::uint32_t>(stamp) & max_counter; }

// Last accesses to a word of memory; stamps of earlier launches mean nothing.
struct Shadow {
  Stamp write;
  Stamp read;
};

// Never changed once a thread has it.
struct Clock {
  std::vector<std::uint32_t> known;  // by who
  unsigned holders = 0;
};

// Counts without atomics: a launch stays on one system thread.
class SharedClock {
 public:
  SharedClock() = default;
  explicit SharedClock(Clock* made) : clock(made) { hold(); }
  SharedClock(const SharedClock& other) : clock(other.clock) { hold(); }
  ~SharedClock() { drop(); }
  SharedClock& operator=(const SharedClock& other) {
    if (clock == other.clock) return *this;
    drop();
    clock = other.clock;
    hold();
    return *this;
  }
  const Clock* operator->() const { return clock; }
  const Clock& operator*() const { return *clock; }
  bool operator==(const SharedClock& other) const { return clock == other.clock; }
  bool operator!=(const SharedClock& other) const { return clock != other.clock; }

 private:
  void hold() {
    if (clock != nullptr) ++clock->holders;
  }
  void drop() {
    if (clock != nullptr && --clock->holders == 0) delete clock;
    clock = nullptr;
  }
  Clock* clock = nullptr;
};

// What one thread or one delivery may rely on.
struct View {
  Stamp launch = 0;                        // all earlier stamps are of earlier launches
  Stamp self = 0;                          // the stamp of an access now
  const std::uint32_t* known = nullptr;    // the clock
};

inline bool is_known(const View& view, Stamp stamp) {
  if (stamp < view.launch) return true;
  Stamp difference = stamp ^ view.self;
  if (difference >> serial_shift) return false;
  return view.known[who_of(stamp)] >= counter_of(stamp) || difference >> counter_bits == 0;
}

// Numbers of the threads, warps, blocks and barriers of a cluster in a clock.
class Roster {
 public:
  void set(unsigned blocks, unsigned threads);
  std::uint32_t size() const { return barriers + max_barriers; }

  std::uint32_t thread(unsigned rank, unsigned thread) const { return first_thread + rank * per_block + thread; }
  std::uint32_t warp(std::uint32_t who) const { return warps + (who - first_thread) / 32; }
  std::uint32_t block(std::uint32_t who) const { return blocks + (who - first_thread) / per_block; }
  std::uint32_t cluster() const { return barriers - 1; }
  std::uint32_t barrier(unsigned number) const { return barriers + number; }

  bool is_thread(std::uint32_t who) const { return who >= first_thread && who < warps; }
  bool is_warp(std::uint32_t who) const { return who >= warps && who < blocks; }
  bool is_block(std::uint32_t who) const { return who >= blocks && who < cluster(); }
  bool is_barrier(std::uint32_t who) const { return who >= barriers; }

  // The smallest group that holds a thread or group and one more thread.
  std::uint32_t group(std::uint32_t reader, std::uint32_t thread) const;
  // What is known of each group, from what is known of each thread.
  void summarize(std::vector<std::uint32_t>& known) const;

  unsigned per_block = 0;
  std::uint32_t warps = 0, blocks = 0, barriers = 0;
  static constexpr unsigned max_barriers = 128;
};

// Where threads meet: a barrier of any kind. Gathers what those that arrive know.
class Meeting {
 public:
  // Someone whose clock is `clock` arrives.
  void arrive(const SharedClock& clock, const Roster& roster);
  // What it did up to `counter` is known to those that leave. After its arrival.
  void raise(std::uint32_t who, std::uint32_t counter);
  // All have arrived: what those that leave know. The meeting is empty again.
  SharedClock finish(const Roster& roster);
  void clear();

 private:
  std::vector<std::uint32_t> sum;
  SharedClock last;
};

// Joins clocks, and remembers the last result, since all threads of a block ask for the same.
class Joiner {
 public:
  SharedClock join(const SharedClock& one, const SharedClock& other, const Roster& roster);
  void clear();

 private:
  SharedClock one, other, result;
};

}  // namespace emulator
