// cluster_exchange: how the blocks of a cluster hand each other what the next time step needs.
//
// Every block has an inbox of two buffers in shared memory, and an mbarrier for each. In phase p = 0, 1, ... all
// blocks of the cluster fill buffer p % 2 of all inboxes by asynchronous stores, which count their bytes down on the
// barrier of the buffer; it completes when one thread has said how many bytes must come and all have come, in
// whichever order. It completes for the (p / 2)-th time in phase p, hence the parity.
//
// No other barrier between blocks is needed: a block sends phase p + 2 into a buffer only after it has received all
// of phase p + 1, and the block whose buffer it is has sent its part of that only after all of its threads have read
// phase p. The kernels see to the last: between the reads of a phase and the sends of the next there is a
// __syncthreads. crates/gru-cuda/tests/exchange_protocol.rs goes through every order of events.
#pragma once

#include "exchange.cuh"

// The mbarriers of a block's inbox.
struct Arrivals {
    Shared<Barrier> ready;  // [2]

    DEVICE static Arrivals open() {
        SHARED(Barrier, ready, 2);
        if (threadIdx.x == 0) {
            barrier_init(ready[0], 1);
            barrier_init(ready[1], 1);
            barrier_fence_init();
        }
        cluster_arrive();
        return {ready};
    }

    DEVICE void expect(int phase, unsigned bytes) const {
        if (threadIdx.x == 0) barrier_arrive_expect(ready[phase & 1], bytes);
    }

    DEVICE void wait(int phase) const { barrier_wait(ready[phase & 1], phase / 2 % 2); }

    DEVICE Remote<Barrier> of(int rank) const { return map_to_rank(ready, 0, rank); }
};

// The inbox of a block of the cluster, this one too.
template <class Word>
struct ClusterPeer {
    Remote<Word> inbox;
    Remote<Barrier> ready;
};

struct ClusterExchange {
    template <class Shape>
    struct Gather;
    template <class Shape>
    struct Scatter;
};

template <class Shape>
struct ClusterExchange::Gather {
    using Word = typename Shape::Word;
    // A warp has FOURS times four words; a thread sends four of them to every SENDERS-th block.
    static constexpr int FOURS = Shape::WORDS_OF_BLOCK / 4, SENDERS = 32 / FOURS;
    static constexpr int PEERS = (Shape::BLOCKS + SENDERS - 1) / SENDERS;

    Shared<Word> inbox;
    Arrivals arrivals;
    ClusterPeer<Word> peers[PEERS];

    DEVICE static Gather open(const Task&, Shared<Word> inbox) { return {inbox, Arrivals::open(), {}}; }

    DEVICE void connect() {
        cluster_wait();
        const int own = group_rank<Shape>() * Shape::WORDS_OF_BLOCK + first_word();
#pragma unroll
        for (int i = 0; i < PEERS; i++) {
            const int peer = (first_peer() + i * SENDERS) % Shape::BLOCKS;
            peers[i] = {map_to_rank(inbox, own, peer), arrivals.of(peer)};
        }
    }

    DEVICE void expect(int phase) const {
        arrivals.expect(phase, Shape::LANES * Shape::WORDS * unsigned(sizeof(Word)));
    }

    DEVICE void receive(int phase) const { arrivals.wait(phase); }

    DEVICE void send(int phase, int lane, Word word) const {
        const int place = Shape::begin(phase) + lane * Shape::PITCH;
        Register<Word> words[4];
#pragma unroll
        for (int i = 0; i < 4; i++) words[i] = shuffle(word, (first_word() + i) * Shape::PER_WORD);
#pragma unroll
        for (int i = 0; i < PEERS; i++) {
            if (Shape::BLOCKS % SENDERS == 0 || first_peer() + i * SENDERS < Shape::BLOCKS) {
                store_async_four(peers[i].inbox.from(place), words, peers[i].ready.from(phase & 1));
            }
        }
    }

    // No block ends while a store to it may be under way.
    DEVICE void close() const { cluster_sync(); }

    DEVICE static int first_peer() { return warp_lane() / FOURS; }
    DEVICE static int first_word() { return warp_lane() % FOURS * 4; }  // of the block's
};

template <class Shape>
struct ClusterExchange::Scatter {
    using Peer = ClusterPeer<float>;
    static constexpr int LENGTH = Shape::BLOCKS * Shape::SHARE;  // of a buffer

    Shared<float> inbox;  // [2][from][SHARE]
    Arrivals arrivals;

    DEVICE static Scatter open(const Task&) {
        SHARED(float, inbox, 2 * LENGTH);
        return {inbox, Arrivals::open()};
    }

    DEVICE void connect() const { cluster_wait(); }

    // Where this block's share of a peer's inbox begins.
    DEVICE Peer peer(int rank) const {
        return {map_to_rank(inbox, group_rank<Shape>() * Shape::SHARE, rank), arrivals.of(rank)};
    }

    DEVICE void expect(int phase) const { arrivals.expect(phase, LENGTH * unsigned(sizeof(float))); }

    DEVICE float receive(int phase, int place) const {
        arrivals.wait(phase);
        float sum = 0.0f;
#pragma unroll
        for (int from = 0; from < Shape::BLOCKS; from++) {
            sum += inbox[(phase & 1) * LENGTH + from * Shape::SHARE + place];
        }
        return sum;
    }

    DEVICE void send_pair(const Peer& peer, int phase, int place, float first, float second) const {
        const Remote<float> inbox = peer.inbox.from((phase & 1) * LENGTH + place);
        store_async_pair(inbox, first, second, peer.ready.from(phase & 1));
    }
    DEVICE void send_four(const Peer& peer, int phase, int place, const Register<float> (&four)[4]) const {
        store_async_four(peer.inbox.from((phase & 1) * LENGTH + place), four, peer.ready.from(phase & 1));
    }

    DEVICE void close() const { cluster_sync(); }
};
