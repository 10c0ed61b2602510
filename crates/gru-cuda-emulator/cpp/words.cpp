// Tagged words: see words.h.
#include "words.h"

namespace emulator {
namespace {

std::uint32_t tag_of(unsigned long long word) { return static_cast<std::uint32_t>(word >> 32); }

// Checks bounds, and that no access of this launch that is plain, or by another group, is unordered with this one.
unsigned long long* atomic_place(const WordRegion& words, unsigned index, bool writes) {
  auto cell = words[index];
  const View& view = current->view;
  // Such a stamp is known to nobody.
  Stamp mark = make_stamp(serial_of(view.self), several_clusters, 1);
  auto is_race = [&](Stamp stamp) { return stamp != mark && !is_known(view, stamp); };
  const char* now = writes ? "stores the word" : "awaits the word";
  for (unsigned i = 0; cell.shadow != nullptr && i < 2; ++i) {
    Shadow& shadow = cell.shadow[i];
    if (is_race(shadow.write)) fail_race(now, cell.place, shadow.write, "written");
    if (writes && is_race(shadow.read)) fail_race(now, cell.place, shadow.read, "read");
    (writes ? shadow.write : shadow.read) = mark;
  }
  return cell.place;
}

}  // namespace

void store_tagged(const WordRegion& words, unsigned index, std::uint32_t value, std::uint32_t tag) {
  unsigned long long* place = atomic_place(words, index, true);
  machine->word_stores.push_back({place, std::uint64_t{tag} << 32 | value});
}

void await_tagged(const WordRegion& words, unsigned first, unsigned stride, std::uint32_t tag, std::uint32_t* values,
                  unsigned count, const Place& place) {
  Thread& thread = *current;
  thread.place = place;
  constexpr unsigned most = 64;
  if (count > most) {
    machine->report(Fault::launch, &thread, "awaits %u words at once, of at most %u", count, most);
    machine->abandon();
  }
  std::uint64_t missing = ~std::uint64_t{0} >> (most - count);
  while (true) {
    unsigned long long* next = nullptr;
    for (unsigned i = 0; i < count; ++i) {
      if ((missing >> i & 1) == 0) continue;
      unsigned long long* word = atomic_place(words, first + i * stride, false);
      if (is_fresh(word, sizeof *word)) read_fresh(word);
      if (tag_of(*word) == tag) {
        values[i] = static_cast<std::uint32_t>(*word);
        missing &= ~(std::uint64_t{1} << i);
      } else if (next == nullptr) {
        next = word;
      }
    }
    if (next == nullptr) return;
    machine->word_waiters.emplace(next, &thread);
    machine->wait();
  }
}

void bring_word(std::uint32_t number) {
  WordStore store = machine->word_stores[number];
  machine->word_stores[number] = machine->word_stores.back();
  machine->word_stores.pop_back();
  *store.place = store.word;
  auto waiters = machine->word_waiters.equal_range(store.place);
  for (auto each = waiters.first; each != waiters.second; ++each) machine->make_ready(each->second);
  machine->word_waiters.erase(waiters.first, waiters.second);
}

}  // namespace emulator
