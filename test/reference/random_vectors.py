"""Writes random.json: numbers of the project's random generator from an independent implementation.

The generator, its streams and the Gaussians are defined in crates/gru-core/src/random.rs; here they are
written again with Python's integers and math module, so that a mistake in one is seen by the other.
Needs Python alone. Usage: python3 random_vectors.py
"""

import json
import math
import pathlib
import struct

MASK = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15


def mix(bits: int) -> int:
    """SplitMix64's output function."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


class Stream:
    """The numbers of (seed, purpose)."""

    def __init__(self, seed: int, purpose: str) -> None:
        self.state = mix((seed + GOLDEN_GAMMA) & MASK)
        for byte in purpose.encode():
            self.state = mix(((self.state + GOLDEN_GAMMA) & MASK) ^ byte)
        self.spare: list[float] = []

    def uint64(self) -> int:
        self.state = (self.state + GOLDEN_GAMMA) & MASK
        return mix(self.state)

    def float(self) -> float:
        return (self.uint64() >> 11) * 2.0**-53

    def gaussian(self) -> float:
        """Marsaglia's polar method; the second number of each pair is kept for the next call."""
        if self.spare:
            return self.spare.pop()
        while True:
            x, y = 2 * self.float() - 1, 2 * self.float() - 1
            square = x * x + y * y
            if 0 < square < 1:
                scale = math.sqrt(-2 * math.log(square) / square)
                self.spare.append(y * scale)
                return x * scale


def f32_bits(value: float) -> str:
    return struct.pack(">f", value).hex()


def streams() -> list[dict]:
    cases = [(0, "weights"), (0, "batches/1"), (1, "batches/1"), (2**53 - 1, "sampling"), (7, "")]
    drawn = []
    for seed, purpose in cases:
        stream = Stream(seed, purpose)
        drawn.append({"seed": seed, "purpose": purpose, "uint64": [str(stream.uint64()) for _ in range(6)]})
    return drawn


def weights(seed: int, vocab: int, hidden: int, scale: float) -> dict:
    """Initial parameters in memory order: W_x, W_h, b, W_y, b_y."""
    stream = Stream(seed, "weights")

    def normal(count: int) -> list[float]:
        return [stream.gaussian() * scale for _ in range(count)]

    flat = normal(vocab * 3 * hidden) + normal(hidden * 3 * hidden) + [0.0] * (3 * hidden)
    flat += normal(hidden * vocab) + [0.0] * vocab
    facts = {"seed": seed, "vocabSize": vocab, "hiddenSize": hidden, "initScale": scale}
    return facts | {"f32Bits": [f32_bits(value) for value in flat]}


def shuffle(seed: int, purpose: str, count: int) -> dict:
    """Fisher-Yates from the end."""
    stream, order = Stream(seed, purpose), list(range(count))
    for last in range(count - 1, 0, -1):
        other = int(stream.float() * (last + 1))
        order[last], order[other] = order[other], order[last]
    return {"seed": seed, "purpose": purpose, "of": count, "order": order}


def main() -> None:
    vectors = {
        "version": 1,
        "generator": "test/reference/random_vectors.py",
        "streams": streams(),
        "weights": weights(5, 3, 2, 0.01),
        "shuffle": shuffle(3, "batches/2", 10),
    }
    path = pathlib.Path(__file__).with_name("random.json")
    path.write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
