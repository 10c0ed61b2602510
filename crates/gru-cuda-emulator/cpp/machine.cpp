// The scheduler: sets up a cluster, runs its threads in random order, and says why they cannot go on.
#include "machine.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "cluster.h"
#include "words.h"

namespace emulator {

__thread Thread* current = nullptr;
__thread Machine* machine = nullptr;

namespace {

// Serial numbers of clusters, over all launches of the process: 0 is none.
std::atomic<std::uint64_t> next_serial{1};

std::uint64_t mix(std::uint64_t seed) {
  seed = (seed + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  seed = (seed ^ seed >> 27) * 0x94d049bb133111eb;
  return seed ^ seed >> 31;
}

}  // namespace

Machine::Machine() = default;
Machine::~Machine() = default;

std::uint32_t Machine::random(std::uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return static_cast<std::uint32_t>((random_state >> 32) * below >> 32);
}

Fault Machine::run(const Launch& the_launch) {
  launch = the_launch;
  fault = Fault::none;
  message.clear();
  random_state = mix(launch.seed) | 1;
  // Half of the seeds hold deliveries back for as long as can be, the others bring some early.
  eager = random(2) == 0 ? 0 : 1 + random(64);
  const Kernel& kernel = *launch.kernel;
  std::uint32_t clusters = launch.grid.x / kernel.cluster_size * launch.grid.y;
  std::uint64_t serial = next_serial.fetch_add(clusters);
  roster.set(kernel.cluster_size, kernel.threads);
  if (serial + clusters > max_serial || roster.size() > max_who) {
    report(Fault::launch, nullptr, "more blocks than the race checks can number");
    return fault;
  }
  first_serial = static_cast<std::uint32_t>(serial);
  allocations.refresh(launch.check_races);
  order.resize(clusters);
  for (std::uint32_t i = 0; i < clusters; ++i) {
    std::uint32_t other = random(i + 1);
    order[i] = order[other];
    order[other] = i;
  }
  machine = this;
  for (std::uint32_t i = 0; i < clusters && fault == Fault::none; ++i) run_cluster(i);
  machine = nullptr;
  return fault;
}

void Machine::run_cluster(std::uint32_t number) {
  set_up(number);
  schedule();
  current = nullptr;
  joiner.clear();
  cluster_clock = SharedClock();
  cluster_meeting.clear();
  barriers.clear();
  deliveries.clear();
  word_stores.clear();
  word_waiters.clear();
  for (Thread& thread : threads) thread.clock = SharedClock();
}

void Machine::set_up(std::uint32_t number) {
  const Kernel& kernel = *launch.kernel;
  num_blocks = kernel.cluster_size;
  while (blocks.size() < num_blocks) blocks.push_back(std::make_unique<Block>());
  std::uint32_t clusters_x = launch.grid.x / num_blocks;
  for (unsigned rank = 0; rank < num_blocks; ++rank) {
    Block& block = *blocks[rank];
    block.index = {order[number] % clusters_x * num_blocks + rank, order[number] / clusters_x, 0};
    block.rank = rank;
    block.exited = block.waiting = 0;
    block.meeting.clear();
    block.arrays.clear();
    block.shared_bytes = 0;
  }
  unsigned count = num_blocks * kernel.threads;
  exited = cluster_arrived = cluster_phase = 0;
  held = num_blocks;
  hold = 0;
  cluster_waiters.clear();
  warps.resize(count / 32);
  for (Warp& warp : warps) {
    warp.waiting = 0;
    warp.meeting.clear();
  }
  Meeting nobody;
  SharedClock nothing = nobody.finish(roster);
  high = 1;
  ready.clear();
  threads.resize(count);
  for (unsigned i = 0; i < count; ++i) {
    Thread& thread = threads[i];
    thread.block = blocks[i / kernel.threads].get();
    thread.number = i % kernel.threads;
    thread.warp = &warps[i / 32];
    thread.who = roster.thread(thread.block->rank, thread.number);
    thread.exited = thread.at_cluster = false;
    thread.place = {};
    thread.view.launch = make_stamp(first_serial, 0, 0);
    thread.view.self = make_stamp(first_serial + number, 0, 0);
    thread.clusters_stamp = make_stamp(first_serial, several_clusters, 1);
    learn(thread, nothing);
    advance(thread);
    stacks.prepare(thread.fiber, i, run_thread);
    ready.push_back(&thread);
  }
}

// One that may go on. With the seeds that bring deliveries early, one block is held back for a while, unless nothing
// else can happen, so that the others get as far ahead of it as they can.
std::uint32_t Machine::pick_thread() {
  auto count = static_cast<std::uint32_t>(ready.size());
  std::uint32_t pick = random(count);
  if (num_blocks == 1 || eager == 0) return pick;
  if (hold == 0) {
    held = random(num_blocks + 1);  // or none
    hold = 1 + random(1 << 17);
  }
  --hold;
  for (int again = 0; again < 16 && ready[pick]->block->rank == held; ++again) pick = random(count);
  return pick;
}

void Machine::schedule() {
  while (fault == Fault::none) {
    std::uint32_t pick = ready.empty() ? 0 : pick_thread();
    bool is_stuck = ready.empty() || ready[pick]->block->rank == held;
    auto under_way = static_cast<std::uint32_t>(deliveries.size() + word_stores.size());
    if (under_way > 0 && (is_stuck || (eager != 0 && random(eager) == 0))) {
      std::uint32_t number = random(under_way);
      if (number < deliveries.size()) deliver(number);
      else bring_word(number - static_cast<std::uint32_t>(deliveries.size()));
      continue;
    }
    if (ready.empty()) break;
    Thread* thread = ready[pick];
    ready[pick] = ready.back();
    ready.pop_back();
    current = thread;
    switch_to(scheduler, thread->fiber);
  }
  if (fault == Fault::none && exited < threads.size()) report_deadlock();
}

void Machine::run_thread() {
  begin_fiber(machine->scheduler);
  machine->launch.kernel->entry(machine->launch.task);
  machine->exit_thread();
}

void Machine::exit_thread() {
  Thread& thread = *current;
  thread.exited = true;
  ++thread.block->exited;
  ++exited;
  if (thread.block->waiting > 0) {
    const Place& place = thread.block->barrier;
    report(Fault::divergence, &thread, "ends while %u threads of its block wait at %s (%s:%d)", thread.block->waiting,
           place.what, place.file, place.line);
  }
  leave_cluster(thread);
  leave_to(thread.fiber, scheduler);
}

void Machine::wait() { switch_to(current->fiber, scheduler); }

void Machine::abandon() { leave_to(current->fiber, scheduler); }

void Machine::report(Fault kind, const Thread* thread, const char* format, ...) {
  if (fault != Fault::none) return;
  fault = kind;
  message = std::string("kernel '") + launch.kernel->name + "', ";
  if (thread != nullptr) message += describe(*thread) + ": ";
  char words[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  message += words;
}

void Machine::step() {
  if (++high < max_counter) return;
  report(Fault::launch, nullptr, "more synchronisations than the race checks can number");
}

void Machine::advance(Thread& thread) {
  thread.counter = high;
  std::uint32_t serial = serial_of(thread.view.self);
  thread.view.self = make_stamp(serial, thread.who, high);
  thread.warp_stamp = make_stamp(serial, roster.warp(thread.who), high);
  thread.block_stamp = make_stamp(serial, roster.block(thread.who), high);
}

void Machine::learn(Thread& thread, const SharedClock& clock) {
  thread.clock = clock;
  thread.view.known = clock->known.data();
}

std::string Machine::describe(const Thread& thread) const {
  const Index& index = thread.block->index;
  return "block (" + std::to_string(index.x) + ", " + std::to_string(index.y) + ") thread " +
         std::to_string(thread.number);
}

std::string Machine::describe(Stamp stamp) const {
  std::uint32_t who = who_of(stamp);
  if (who == several_clusters) return "several blocks of the grid";
  if (serial_of(stamp) != serial_of(threads[0].view.self)) {
    std::uint32_t cluster = order[serial_of(stamp) - first_serial];
    std::uint32_t clusters_x = launch.grid.x / num_blocks;
    std::string words = num_blocks == 1 ? "block (" : "a block of the cluster at (";
    return words + std::to_string(cluster % clusters_x * num_blocks) + ", " + std::to_string(cluster / clusters_x) + ")";
  }
  if (roster.is_thread(who)) return describe(threads[who - first_thread]);
  if (roster.is_warp(who)) return "several of the warp of " + describe(threads[(who - roster.warps) * 32]);
  if (roster.is_block(who)) return "several of the block of " + describe(threads[(who - roster.blocks) * roster.per_block]);
  return roster.is_barrier(who) ? "an asynchronous store" : "several blocks of the cluster";
}

// Neighbours that wait at one place share a line.
void Machine::report_deadlock() {
  std::string words;
  for (std::size_t i = 0; i < threads.size() && words.size() < 700;) {
    std::size_t last = i;
    auto same = [&](const Thread& a, const Thread& b) {
      return a.block == b.block && a.exited == b.exited && !(a.place != b.place);
    };
    while (last + 1 < threads.size() && same(threads[last + 1], threads[i])) ++last;
    words += "; " + describe(threads[i]);
    if (last > i) words += " to " + std::to_string(threads[last].number);
    const Place& place = threads[i].place;
    if (threads[i].exited) words += " ended";
    else words += std::string(" at ") + place.what + " (" + place.file + ":" + std::to_string(place.line) + ")";
    i = last + 1;
  }
  report(Fault::deadlock, nullptr, "no thread can go on%s", words.c_str());
}

}  // namespace emulator
