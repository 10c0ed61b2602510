// The barrier of a cluster, mbarriers, and asynchronous stores. A store is held back until nobody can go on
// without one, or until chance brings it early; in any order.
#include "cluster.h"

#include <algorithm>

namespace emulator {
namespace {

constexpr std::uint32_t initialised = 0x6d626172;
constexpr std::int64_t max_bytes = (1 << 20) - 1;  // that an mbarrier can count

bool races() { return machine->launch.check_races; }

void arrive(Meeting& meeting, Thread& thread) {
  if (!races()) return;
  meeting.arrive(thread.clock, machine->roster);
  meeting.raise(thread.who, machine->now());
  machine->step();
  machine->advance(thread);
}

void learn(Thread& thread, const SharedClock& clock) {
  if (races()) machine->learn(thread, machine->joiner.join(thread.clock, clock, machine->roster));
}

void complete_cluster() {
  if (machine->cluster_arrived == 0 || machine->cluster_arrived + machine->exited < machine->threads.size()) return;
  machine->cluster_arrived = 0;
  ++machine->cluster_phase;
  if (races()) machine->cluster_clock = machine->cluster_meeting.finish(machine->roster);
  for (Thread* thread : machine->cluster_waiters) machine->make_ready(thread);
  machine->cluster_waiters.clear();
}

// Null, after a report, if it was not initialised before.
template <class Known>
BarrierState* state_of(const Barrier* barrier, const Thread* thread, Known known) {
  if (barrier->mark != initialised || barrier->number >= machine->barriers.size()) {
    machine->report(Fault::misuse, thread, "uses an mbarrier that nobody initialised");
    return nullptr;
  }
  BarrierState& state = machine->barriers[barrier->number];
  if (races() && !known(state.made)) {
    machine->report(Fault::race, thread, "uses an mbarrier, and nothing orders that after its initialisation by %s",
                    machine->describe(state.made).c_str());
    return nullptr;
  }
  if (state.block != thread->block && !state.fenced) {
    machine->report(Fault::misuse, thread, "uses an mbarrier of a peer that did not call barrier_fence_init");
    return nullptr;
  }
  return &state;
}

BarrierState& own_state(const Barrier* barrier) {
  BarrierState* state = state_of(barrier, current, [](Stamp stamp) { return is_known(current->view, stamp); });
  if (state == nullptr) machine->abandon();
  return *state;
}

void complete_phase(std::uint32_t number) {
  BarrierState& state = machine->barriers[number];
  if (state.pending != 0 || state.bytes != 0) return;
  ++state.phase;
  state.pending = state.count;
  if (races()) {
    state.meeting.raise(machine->roster.barrier(number), state.phase);
    state.clock = state.meeting.finish(machine->roster);
  }
  for (Thread* thread : state.waiters) machine->make_ready(thread);
  state.waiters.clear();
}

}  // namespace

void cluster_arrive_at(const Place& place) {
  Thread& thread = *current;
  thread.place = place;
  if (thread.at_cluster) {
    machine->report(Fault::misuse, &thread, "arrives at the cluster's barrier twice without waiting");
    machine->abandon();
  }
  thread.at_cluster = true;
  arrive(machine->cluster_meeting, thread);
  thread.cluster_phase = machine->cluster_phase;
  ++machine->cluster_arrived;
  complete_cluster();
}

void cluster_wait_at(const Place& place) {
  Thread& thread = *current;
  thread.place = place;
  if (!thread.at_cluster) {
    machine->report(Fault::misuse, &thread, "waits at the cluster's barrier without having arrived");
    machine->abandon();
  }
  if (thread.cluster_phase == machine->cluster_phase) {
    machine->cluster_waiters.push_back(&thread);
    machine->wait();
  }
  thread.at_cluster = false;
  learn(thread, machine->cluster_clock);
}

void leave_cluster(Thread& thread) {
  if (thread.at_cluster && thread.cluster_phase == machine->cluster_phase) --machine->cluster_arrived;
  complete_cluster();
}

void init_barrier(Barrier* barrier, unsigned count) {
  Thread& thread = *current;
  if (machine->barriers.size() == Roster::max_barriers) {
    machine->report(Fault::launch, &thread, "more than %u mbarriers in a cluster", Roster::max_barriers);
    machine->abandon();
  }
  barrier->number = static_cast<std::uint32_t>(machine->barriers.size());
  barrier->mark = initialised;
  BarrierState state{};
  state.block = thread.block;
  state.count = state.pending = count;
  state.maker = &thread;
  state.made = thread.view.self;
  machine->barriers.push_back(state);
}

void fence_barriers() {
  for (BarrierState& state : machine->barriers)
    if (state.maker == current) state.fenced = true;
}

void arrive_at_barrier(Barrier* barrier, unsigned bytes) {
  BarrierState& state = own_state(barrier);
  state.bytes += bytes;
  if (state.pending == 0 || state.bytes > max_bytes) {
    machine->report(Fault::misuse, current, state.pending == 0 ? "arrives once more than the mbarrier counts in a phase"
                                                               : "expects more bytes than an mbarrier can count");
    machine->abandon();
  }
  --state.pending;
  arrive(state.meeting, *current);
  complete_phase(barrier->number);
}

void wait_at_barrier(Barrier* barrier, unsigned parity, const Place& place) {
  Thread& thread = *current;
  thread.place = place;
  BarrierState* state = &own_state(barrier);
  while ((state->phase & 1) == (parity & 1)) {
    state->waiters.push_back(&thread);
    machine->wait();
    state = &machine->barriers[barrier->number];
  }
  // Before the first phase ends, a wait for odd parity passes and teaches nothing.
  if (state->phase > 0) learn(thread, state->clock);
}

Block& peer(unsigned rank) {
  if (rank >= machine->num_blocks) {
    machine->report(Fault::bounds, current, "rank %u of a cluster of %u", rank, machine->num_blocks);
    machine->abandon();
  }
  return *machine->blocks[rank];
}

void send(Delivery delivery, unsigned elements, long long index, const Declaration& declaration,
          const Remote<Barrier>& barrier) {
  Thread& thread = *current;
  if (index < 0 || index + delivery.count > elements) {
    machine->report(Fault::bounds, &thread, "element %lld of shared array '%s' of %u, of a peer", index,
                    declaration.name, elements);
    machine->abandon();
  }
  if (barrier.index < 0 || barrier.index >= barrier.count || barrier.block != delivery.block) {
    machine->report(Fault::misuse, &thread, "stores to a peer and completes on a barrier that is not in the same block");
    machine->abandon();
  }
  if (reinterpret_cast<std::uintptr_t>(delivery.place) % (delivery.count * sizeof(std::uint32_t)) != 0) {
    machine->report(Fault::alignment, &thread, "element %lld of shared array '%s': %u elements begin at a multiple of %u bytes",
                    index, declaration.name, delivery.count, delivery.count * 4);
    machine->abandon();
  }
  delivery.barrier = barrier.data + barrier.index;
  delivery.sender = &thread;
  delivery.view = thread.view;
  delivery.view.self = make_stamp(serial_of(thread.view.self), 0, 0);
  delivery.clock = thread.clock;
  // The order of one thread's stores is open, so what it does from now on is not known to those that wait.
  delivery.counter = machine->now();
  if (races()) {
    machine->step();
    machine->advance(thread);
  }
  machine->deliveries.push_back(delivery);
}

void deliver(std::uint32_t number) {
  Delivery delivery = machine->deliveries[number];
  machine->deliveries[number] = machine->deliveries.back();
  machine->deliveries.pop_back();
  const Thread* sender = delivery.sender;
  if (delivery.block->exited == machine->launch.kernel->threads)
    return machine->report(Fault::misuse, sender, "stored to a peer that ended before the store came");
  BarrierState* state = state_of(delivery.barrier, sender, [&](Stamp stamp) { return delivery.knows(stamp); });
  if (state == nullptr) return;
  for (unsigned i = 0; i < delivery.count; ++i) {
    if (delivery.shadow != nullptr) {
      const Shadow& before = delivery.shadow[i];
      if (!delivery.knows(before.write)) return report_race(*sender, "stores to", delivery.place + i, before.write, "written");
      if (!delivery.knows(before.read)) return report_race(*sender, "stores to", delivery.place + i, before.read, "read");
      Stamp writer = make_stamp(serial_of(delivery.view.self), machine->roster.barrier(delivery.barrier->number),
                                state->phase + 1);
      delivery.shadow[i] = {writer, 0};
    }
    delivery.place[i] = delivery.words[i];
  }
  if (races()) {
    state->meeting.arrive(delivery.clock, machine->roster);
    state->meeting.raise(sender->who, delivery.counter);
  }
  state->bytes -= delivery.count * static_cast<std::int64_t>(sizeof(std::uint32_t));
  if (state->bytes < -max_bytes)
    return machine->report(Fault::misuse, sender, "stored more bytes than the mbarrier can count");
  complete_phase(delivery.barrier->number);
}

}  // namespace emulator
