// Vector clocks: see clock.h.
#include "clock.h"

#include <algorithm>

namespace emulator {
namespace {

void raise_all(std::vector<std::uint32_t>& known, const std::vector<std::uint32_t>& by) {
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = std::max(known[i], by[i]);
}

}  // namespace

void Roster::set(unsigned block_count, unsigned threads) {
  per_block = threads;
  warps = first_thread + block_count * threads;
  blocks = warps + block_count * threads / 32;
  barriers = blocks + block_count + 1;
}

std::uint32_t Roster::group(std::uint32_t reader, std::uint32_t thread) const {
  if (is_block(reader)) return block(thread) == reader ? reader : cluster();
  if (!is_thread(reader) && !is_warp(reader)) return cluster();
  if (is_warp(reader)) reader = first_thread + (reader - warps) * 32;
  if (warp(reader) == warp(thread)) return warp(thread);
  return block(reader) == block(thread) ? block(thread) : cluster();
}

void Roster::summarize(std::vector<std::uint32_t>& known) const {
  auto least = [&](std::uint32_t from, std::uint32_t count) {
    return *std::min_element(known.begin() + from, known.begin() + from + count);
  };
  for (std::uint32_t warp = warps; warp < blocks; ++warp) known[warp] = least(first_thread + (warp - warps) * 32, 32);
  for (std::uint32_t block = blocks; block < cluster(); ++block)
    known[block] = least(warps + (block - blocks) * (per_block / 32), per_block / 32);
  known[cluster()] = least(blocks, cluster() - blocks);
}

void Meeting::arrive(const SharedClock& clock, const Roster& roster) {
  if (sum.empty()) sum.assign(roster.size(), 0);
  if (clock != last) {
    raise_all(sum, clock->known);
    last = clock;
  }
}

void Meeting::raise(std::uint32_t who, std::uint32_t counter) { sum[who] = std::max(sum[who], counter); }

SharedClock Meeting::finish(const Roster& roster) {
  if (sum.empty()) sum.assign(roster.size(), 0);
  roster.summarize(sum);
  auto* clock = new Clock;
  clock->known.swap(sum);
  last = SharedClock();
  return SharedClock(clock);
}

void Meeting::clear() {
  sum.clear();
  last = SharedClock();
}

SharedClock Joiner::join(const SharedClock& first, const SharedClock& second, const Roster& roster) {
  if (first == second) return first;
  if (first != one || second != other) {
    auto* clock = new Clock;
    clock->known = first->known;
    raise_all(clock->known, second->known);
    roster.summarize(clock->known);
    one = first;
    other = second;
    result = SharedClock(clock);
  }
  return result;
}

void Joiner::clear() {
  one = other = result = SharedClock();
}

}  // namespace emulator
