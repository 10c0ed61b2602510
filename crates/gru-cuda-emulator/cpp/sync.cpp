// Barriers of a block and of a warp.
#include "sync.h"

namespace emulator {

void sync_threads(const char* file, int line) {
  Thread& thread = *current;
  Block& block = *thread.block;
  thread.place = {"__syncthreads", file, line};
  if (block.exited > 0) {
    machine->report(Fault::divergence, &thread, "comes to __syncthreads (%s:%d) after %u threads of its block ended",
                    file, line, block.exited);
    machine->abandon();
  }
  if (block.waiting > 0 && thread.place != block.barrier) {
    machine->report(Fault::divergence, &thread, "comes to __syncthreads (%s:%d) while %u threads of its block wait at %s:%d",
                    file, line, block.waiting, block.barrier.file, block.barrier.line);
    machine->abandon();
  }
  block.barrier = thread.place;
  bool races = machine->launch.check_races;
  if (races) block.meeting.arrive(thread.clock, machine->roster);
  if (++block.waiting == machine->launch.kernel->threads) {
    block.waiting = 0;
    Thread* first = &machine->threads[block.rank * machine->launch.kernel->threads];
    Thread* end = first + machine->launch.kernel->threads;
    if (races) {
      for (Thread* each = first; each < end; ++each) block.meeting.raise(each->who, machine->now());
      SharedClock clock = block.meeting.finish(machine->roster);
      machine->step();
      for (Thread* each = first; each < end; ++each) {
        machine->learn(*each, clock);
        machine->advance(*each);
      }
    }
    for (Thread* each = first; each < end; ++each) machine->make_ready(each);
  }
  machine->wait();
}

void meet_warp(const Place& place, void* operands, void (*work)(void* const* operands)) {
  Thread& thread = *current;
  Warp& warp = *thread.warp;
  thread.place = place;
  if (warp.waiting > 0 && place != warp.place) {
    machine->report(Fault::divergence, &thread, "comes to %s (%s:%d) while %u lanes of its warp wait at %s (%s:%d)",
                    place.what, place.file, place.line, warp.waiting, warp.place.what, warp.place.file, warp.place.line);
    machine->abandon();
  }
  warp.place = place;
  warp.operands[thread.number % 32] = operands;
  bool races = machine->launch.check_races;
  if (races) warp.meeting.arrive(thread.clock, machine->roster);
  if (++warp.waiting == 32) {
    warp.waiting = 0;
    work(warp.operands);
    Thread* first = &thread - thread.number % 32;
    if (races) {
      for (unsigned lane = 0; lane < 32; ++lane) warp.meeting.raise(first[lane].who, machine->now());
      SharedClock clock = warp.meeting.finish(machine->roster);
      machine->step();
      for (unsigned lane = 0; lane < 32; ++lane) {
        machine->learn(first[lane], clock);
        machine->advance(first[lane]);
      }
    }
    for (unsigned lane = 0; lane < 32; ++lane) machine->make_ready(&first[lane]);
  }
  machine->wait();
}

void shuffle_bits(const Place& place, Lane& lane) {
  meet_warp(place, &lane, [](void* const* lanes) {
    std::uint64_t bits[32];
    for (unsigned i = 0; i < 32; ++i) bits[i] = static_cast<Lane*>(lanes[static_cast<Lane*>(lanes[i])->source])->bits;
    for (unsigned i = 0; i < 32; ++i) static_cast<Lane*>(lanes[i])->bits = bits[i];
  });
}

}  // namespace emulator
