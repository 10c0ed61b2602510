// words_exchange: how the blocks of a group hand each other what the next time step needs, without clusters.
//
// What is sent is a word of 64 bits in device memory: a value of 32 bits and a tag, which is the phase. It is written
// by one relaxed store, and who needs it loads it again and again until its tag is that of the phase. No fence, no
// flag and no barrier of the grid: value and tag are one access of 64 aligned bits, which no other access tears, so
// who sees the tag has the value, and nothing else that the sender wrote is read on the strength of it.
//
// Every word has two places, for even and odd phases. What replaces a word is ordered after its last load by what
// depends on what, and by nothing else, which is enough: a block stores phase p + 2 only after it has loaded words of
// phase p + 1 from every block of the group, and a block stores any of those only after all of its threads have left
// their loops over phase p, which no thread leaves before it has loaded the words. That is what the __syncthreads
// between receive and send are for (exchange.cuh). A store that nobody could have made yet is seen by nobody, so a
// word that is still awaited cannot be replaced; a word that was loaded may be. tests/words_protocol.rs goes through
// every order of loads and stores.
//
// Tags begin at 1 in the forward pass and at num_steps in BPTT, which comes after it and has the same memory;
// begin_update sets all words to 0, so that none of an update before is taken for one of this: 32 KiB a lane of the
// batch up to 256 units, 1 MiB at the chapter's sizes, half a microsecond of an update's hundreds. (Tags that count on
// from update to update would save that; but an update would then depend on what ran before it, and on what was in the
// memory before the first.)
//
// All groups of a launch must be on the GPU together, or blocks wait for such as never begin: Recurrence::choose sees
// to it, and the launch is cooperative, so that the driver does too. Should a word not come all the same, await_words
// ends the launch with an error.
#pragma once

#include "exchange.cuh"

struct WordsExchange {
    template <class Shape>
    struct Gather;
    template <class Shape>
    struct Scatter;
};

template <class Shape>
struct WordsExchange::Gather {
    using Word = typename Shape::Word;
    static constexpr int LENGTH = Shape::LANES * Shape::WORDS;  // of a buffer
    // The last threads of a block receive: the first have most to do beside it.
    static constexpr int RECEIVERS = LENGTH / 4 < 256 ? LENGTH / 4 : 256, COUNT = LENGTH / RECEIVERS;

    Shared<Word> inbox;
    Region<unsigned long long> words;  // [buffer][lane][word], of the group

    DEVICE static Gather open(const Task& task, Shared<Word> inbox) {
        return {inbox, task.words.from(group_number<Shape>() * 2 * LENGTH)};
    }

    DEVICE void connect() const {}
    DEVICE void expect(int) const {}

    DEVICE void send(int phase, int lane, Word word) const {
        const int own = group_rank<Shape>() * Shape::WORDS_OF_BLOCK + warp_lane() / Shape::PER_WORD;
        if (warp_lane() % Shape::PER_WORD == 0) {
            store_word(words, begin(phase) + lane * Shape::WORDS + own, word, tag(phase));
        }
    }

    DEVICE void receive(int phase) const {
        const int receiver = int(threadIdx.x) - int(blockDim.x - RECEIVERS);
        if (receiver >= 0) {
            Register<Word> received[COUNT];
            await_words(words, begin(phase) + receiver, RECEIVERS, tag(phase), received);
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                const int place = receiver + i * RECEIVERS, lane = place / Shape::WORDS;
                inbox[Shape::begin(phase) + lane * Shape::PITCH + place % Shape::WORDS] = received[i];
            }
        }
        __syncthreads();
    }

    DEVICE void close() const {}

    DEVICE static int begin(int phase) { return (phase & 1) * LENGTH; }
    DEVICE static unsigned tag(int phase) { return phase + 1; }
};

template <class Shape>
struct WordsExchange::Scatter {
    using Peer = int;  // its number
    static constexpr int LENGTH = Shape::BLOCKS * Shape::BLOCKS * Shape::SHARE;  // of a buffer

    Region<unsigned long long> words;  // [buffer][to][from][SHARE], of the group
    unsigned first_tag;

    DEVICE static Scatter open(const Task& task) {
        return {task.words.from(group_number<Shape>() * 2 * LENGTH), unsigned(task.num_steps)};
    }

    DEVICE void connect() const {}
    DEVICE void expect(int) const {}
    DEVICE Peer peer(int rank) const { return rank; }

    DEVICE void send_pair(Peer peer, int phase, int place, float first, float second) const {
        store_word_pair(words, share(phase, peer, group_rank<Shape>()) + place, first, second, first_tag + phase);
    }
    DEVICE void send_four(Peer peer, int phase, int place, const Register<float> (&four)[4]) const {
        send_pair(peer, phase, place, four[0], four[1]);
        send_pair(peer, phase, place + 2, four[2], four[3]);
    }

    DEVICE float receive(int phase, int place) const {
        Register<float> shares[Shape::BLOCKS];
        await_words(words, share(phase, group_rank<Shape>(), 0) + place, Shape::SHARE, first_tag + phase, shares);
        float sum = 0.0f;
#pragma unroll
        for (int from = 0; from < Shape::BLOCKS; from++) sum += shares[from];
        return sum;
    }

    DEVICE void close() const {}

    // Where the share of `from` to `to` begins.
    DEVICE static int share(int phase, int to, int from) {
        return (phase & 1) * LENGTH + (to * Shape::BLOCKS + from) * Shape::SHARE;
    }
};
