// Blocks of a cluster: their barrier, mbarriers, and stores to a peer's shared memory that complete on one.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "access.h"
#include "machine.h"

namespace emulator {

// An mbarrier as it lies in shared memory: which state is its, and a mark that it was initialised.
struct Barrier {
  std::uint32_t number;
  std::uint32_t mark;
};

struct BarrierState {
  Block* block;
  unsigned count;    // arrivals a phase
  unsigned pending;  // of the running phase
  std::int64_t bytes = 0;  // expected and not yet come
  unsigned phase = 0;
  const Thread* maker;
  Stamp made;            // the initialisation
  bool fenced = false;   // peers may use it
  Meeting meeting;
  SharedClock clock;     // of the phase that completed last
  std::vector<Thread*> waiters;
};

// An element of a peer's shared memory.
template <class T>
struct Remote {
  T* data;
  Shadow* shadow;
  unsigned count;
  long long index;
  Block* block;
  const Declaration* declaration;

  Remote from(long long offset) const {
    Remote place = *this;
    place.index += offset;
    return place;
  }
};

struct Delivery {
  std::uint32_t words[4];
  unsigned count;  // of words
  std::uint32_t* place;
  Shadow* shadow;
  Block* block;
  const Barrier* barrier;
  const Thread* sender;
  // What the sender knew, and up to where it had come.
  View view;
  SharedClock clock;
  std::uint32_t counter;

  bool knows(Stamp stamp) const {
    if (is_known(view, stamp)) return true;
    return who_of(stamp) == sender->who && counter_of(stamp) <= counter && serial_of(stamp) == serial_of(view.self);
  }
};

void cluster_arrive_at(const Place& place);
void cluster_wait_at(const Place& place);
// A thread ends: the barrier no longer waits for it.
void leave_cluster(Thread& thread);

void init_barrier(Barrier* barrier, unsigned count);
void fence_barriers();
void arrive_at_barrier(Barrier* barrier, unsigned bytes);
void wait_at_barrier(Barrier* barrier, unsigned parity, const Place& place);

// Brings the delivery of this number.
void deliver(std::uint32_t number);
// Checks that the place and `count` elements from it are in bounds and aligned, and sends.
void send(Delivery delivery, unsigned elements, long long index, const Declaration& declaration,
          const Remote<Barrier>& barrier);
Block& peer(unsigned rank);

template <class T>
Remote<T> map_to_peer(const Shared<T>& array, unsigned index, unsigned rank) {
  Block& block = peer(rank);
  const SharedArray& there = find_shared(block, *array.declaration, array.count * sizeof(T));
  return {reinterpret_cast<T*>(there.data), there.shadow, array.count, array.offset + static_cast<long long>(index),
          &block, array.declaration};
}

template <class T>
void store_to_peer(const Remote<T>& place, const T* values, unsigned count, const Remote<Barrier>& barrier) {
  static_assert(sizeof(T) == 4, "stores are of words");
  Delivery delivery{};
  std::memcpy(delivery.words, values, count * sizeof(T));
  delivery.count = count;
  delivery.place = reinterpret_cast<std::uint32_t*>(place.data) + place.index;
  delivery.shadow = place.shadow == nullptr ? nullptr : place.shadow + place.index;
  delivery.block = place.block;
  send(delivery, place.count, place.index, *place.declaration, barrier);
}

}  // namespace emulator
