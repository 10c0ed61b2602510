/**
 * The project's one random generator, SplitMix64, with a stream for every (seed, purpose): the same numbers
 * as crates/gru-core/src/random.rs, where the reasons are told. Test vectors: test/reference/random.json.
 */

const GOLDEN_GAMMA = 0x9e3779b97f4a7c15n;

function mix(bits: bigint): bigint {
  let mixed = BigInt.asUintN(64, (bits ^ (bits >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  return mixed ^ (mixed >> 31n);
}

/** A stream of pseudorandom numbers. */
export class Random {
  #state: bigint;

  /**
   * The stream of a seed for one purpose, such as `batches/3`.
   *
   * @param seed - a whole number from 0 to 2^53 - 1
   */
  constructor(seed: number, purpose: string) {
    let state = mix(BigInt.asUintN(64, BigInt(seed) + GOLDEN_GAMMA));
    for (const byte of new TextEncoder().encode(purpose)) {
      state = mix(BigInt.asUintN(64, state + GOLDEN_GAMMA) ^ BigInt(byte));
    }
    this.#state = state;
  }

  /** The next 64 bits. */
  nextUint64(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + GOLDEN_GAMMA);
    return mix(this.#state);
  }

  /** A number in [0, 1) with 53 random bits. */
  nextFloat(): number {
    return Number(this.nextUint64() >> 11n) * 2 ** -53;
  }

  /** Puts the elements in random order, in place (Fisher-Yates). */
  shuffle(values: Int32Array): void {
    for (let last = values.length - 1; last > 0; last -= 1) {
      const other = Math.floor(this.nextFloat() * (last + 1));
      const value = values[last] as number;
      values[last] = values[other] as number;
      values[other] = value;
    }
  }
}
