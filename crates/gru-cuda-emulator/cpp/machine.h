// The machine that runs a launch: threads, blocks, the cluster that lives now, and who may go on.
//
// The blocks of a cluster live together, cluster after cluster, in a random order; of the threads that may go on
// one is picked at random, not always fairly, and runs until it waits. All randomness follows from the launch's seed. A machine
// belongs to one system thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "clock.h"
#include "fiber.h"
#include "kernels.h"
#include "memory.h"

namespace emulator {

// Mirrors FaultKind in src/fault.rs.
enum class Fault : int { none, bounds, alignment, race, divergence, deadlock, misuse, launch, unwritten };

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

// A place in the source where threads wait for each other.
struct Place {
  const char* what = nullptr;
  const char* file = nullptr;
  int line = 0;
  bool operator!=(const Place& other) const { return line != other.line || what != other.what; }
};

// What SHARED leaves in the code: its address stands for the array in every block.
struct Declaration {
  const char* name;
};

// An array declared by SHARED, in one block.
struct SharedArray {
  const Declaration* declaration;
  char* data;
  std::size_t bytes;
  Shadow* shadow;
};

// Shared memory that is declared has this limit on every GPU.
constexpr std::size_t max_shared_bytes = 48 << 10;

struct Block {
  Index index;
  unsigned rank = 0;
  unsigned exited = 0;
  unsigned waiting = 0;  // at __syncthreads
  Place barrier;
  Meeting meeting;
  std::vector<SharedArray> arrays;
  std::size_t shared_bytes = 0;
  std::vector<char> shared = std::vector<char>(max_shared_bytes);
  std::vector<Shadow> shadow = std::vector<Shadow>(max_shared_bytes / 4);
};

struct Warp {
  unsigned waiting = 0;
  Place place;
  void* operands[32] = {};
  Meeting meeting;
};

struct Thread {
  View view;
  // Reads by several of the warp, of the block, now, and by several clusters of the launch.
  Stamp warp_stamp = 0, block_stamp = 0, clusters_stamp = 0;
  std::uint32_t who = 0;
  std::uint32_t counter = 0;
  unsigned number = 0;  // in its block
  Block* block = nullptr;
  Warp* warp = nullptr;
  Place place;  // where it waits
  bool exited = false;
  bool at_cluster = false;  // has arrived at the cluster's barrier and not waited
  unsigned cluster_phase = 0;  // in which it did
  SharedClock clock;
  Fiber fiber;
};

struct Launch {
  const Kernel* kernel = nullptr;
  Index grid;
  const void* task = nullptr;
  std::size_t task_bytes = 0;
  std::uint64_t seed = 0;
  bool check_races = true;
};

// A store that is under way to a peer's shared memory: see cluster.cpp.
struct Delivery;
// The state of an mbarrier: see cluster.cpp.
struct BarrierState;
// A store of a tagged word that is under way: see words.h.
struct WordStore;

class Machine {
 public:
  Machine();
  ~Machine();
  Fault run(const Launch& launch);

  // Words of the fault that ended the last launch.
  std::string message;

  // For what runs on a thread.
  void wait();                    // until another makes it ready
  void make_ready(Thread* thread) { ready.push_back(thread); }
  // Ends the launch. `thread`: who did it, or null.
  [[gnu::format(printf, 4, 5)]] void report(Fault kind, const Thread* thread, const char* format, ...);
  [[noreturn]] void abandon();    // after a report by a thread
  std::uint32_t random(std::uint32_t below);
  bool faulted() const { return fault != Fault::none; }

  // Clocks. The counters of a cluster's threads are drawn from one source, so that they can be compared.
  std::uint32_t now() const { return high; }  // what an arrival makes known
  void step();                                // after an arrival, or after several of one moment,
  void advance(Thread& thread);               // and then each of those that arrived
  void learn(Thread& thread, const SharedClock& clock);
  std::string describe(Stamp stamp) const;
  std::string describe(const Thread& thread) const;

  Launch launch;
  Roster roster;
  Joiner joiner;
  Allocations allocations;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<Warp> warps;
  std::vector<Thread> threads;
  unsigned num_blocks = 0;  // of the cluster
  long long cycles = 0;     // reads of the clock
  unsigned exited = 0;

  // The cluster's barrier.
  unsigned cluster_arrived = 0;
  Meeting cluster_meeting;
  SharedClock cluster_clock;
  unsigned cluster_phase = 0;
  std::vector<Thread*> cluster_waiters;

  std::vector<BarrierState> barriers;
  std::vector<Delivery> deliveries;

  std::vector<WordStore> word_stores;
  std::unordered_multimap<const void*, Thread*> word_waiters;  // by the word

 private:
  void run_cluster(std::uint32_t number);
  void set_up(std::uint32_t number);
  void schedule();
  std::uint32_t pick_thread();
  void exit_thread();
  void report_deadlock();
  static void run_thread();

  Fault fault = Fault::none;
  Fiber scheduler;
  Stacks stacks;
  std::vector<Thread*> ready;
  std::vector<std::uint32_t> order;
  std::uint64_t random_state = 0;
  std::uint32_t eager = 0;  // one of so many steps brings a delivery early; 0: none does
  std::uint32_t held = 0, hold = 0;  // the block that is held back, and for how many picks
  std::uint32_t first_serial = 0;
  std::uint32_t high = 0;
};

extern __thread Thread* current;
extern __thread Machine* machine;

}  // namespace emulator
