// Words of device memory that are handed on within a launch: a value and a tag, by relaxed accesses of 64 bits.
//
// A store comes some time, in whichever order, as deliveries to a peer do (cluster.cpp), also those of one thread and,
// since an exchange has no use for it, those to one word. Who awaits a tag sleeps until a word that it misses has come,
// so that threads that wait for ever are a deadlock. For the race checks these accesses are atomic: they are no race
// among each other in a group of blocks, and they order nothing. A plain access of the same launch is one with them,
// and so is an access by another group, which would run at the same time.
#pragma once
#include <cstdint>

#include "access.h"
#include "machine.h"
#include "register.h"

namespace emulator {

using WordRegion = Region<unsigned long long>;

struct WordStore {
  unsigned long long* place;
  unsigned long long word;
};

void store_tagged(const WordRegion& words, unsigned index, std::uint32_t value, std::uint32_t tag);
// Fills `values` with those of words `first`, `first + stride`, ...
void await_tagged(const WordRegion& words, unsigned first, unsigned stride, std::uint32_t tag, std::uint32_t* values,
                  unsigned count, const Place& place);
// Brings the store of this number.
void bring_word(std::uint32_t number);

}  // namespace emulator
