// tensor_operand: the two kinds of operands of tensor cores, behind one name each, so that a kernel is written once.
//
// A word is what one register of a fragment holds: one number in tf32, two neighbours along the sum in bf16. A
// product of a warp's tile takes 8 words of each row of A [16, 8 words] and each column of B [8 words, 8].
//
// Which of the words of a sum meet in which product is free, as long as A and B agree. Here a thread takes four that
// follow each other, so that it loads them at once: of every 16 words, thread `member` of its group of 4 has words
// 4 member .. + 3, the first two for one product, where they count as its words member and member + 4, the others for
// the next.
#pragma once

#include "task.cuh"

struct Tf32 {
    using Word = float;
    static constexpr int PER_WORD = 1;

    // The word of a number and the one after it.
    DEVICE static Word pack(float first, float) { return to_tf32(first); }
    DEVICE static void multiply(Register<float> (&d)[4], const Register<Word> (&a)[4], const Register<Word> (&b)[2]) {
        mma_m16n8k8_tf32(d, a, b);
    }
};

struct Bf16 {
    using Word = unsigned;
    static constexpr int PER_WORD = 2;

    DEVICE static Word pack(float first, float second) { return pack_bf16(first, second); }
    DEVICE static void multiply(Register<float> (&d)[4], const Register<Word> (&a)[4], const Register<Word> (&b)[2]) {
        mma_m16n8k16_bf16(d, a, b);
    }
};

// Of the first word that a thread has of 16 to those that the two products take.
DEVICE int first_word_of(int member) { return 4 * member; }

// sums += a b over 16 words: two products. `words`: a column of B's four words of this thread.
template <class Operand>
DEVICE void multiply_16_words(Register<float> (&sums)[4], const Register<typename Operand::Word> (&a)[2][4],
                              const Register<typename Operand::Word> (&words)[4]) {
    const Register<typename Operand::Word> first[2] = {words[0], words[1]}, second[2] = {words[2], words[3]};
    Operand::multiply(sums, a[0], first);
    Operand::multiply(sums, a[1], second);
}
