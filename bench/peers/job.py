"""The training job that every PyTorch peer runs: its arguments, data, first weights and conversation.

    python PEER.py --ids FILE --vocab V --hidden H --batch B --steps T --threads N

FILE holds the corpus as character ids, little-endian uint32. A peer loads everything, prints
{"ready": true, ...}, and for each line 'epochs N' on standard input trains N more epochs and prints
{"seconds": [of each epoch], "perplexity": of the last}; it ends with its input. What an update does to
the weights is left to the peer.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

LEARNING_RATE = 0.2
MAX_GRAD_NORM = 5.0
INIT_SCALE = 0.01


@dataclass(frozen=True)
class Job:
    """The sizes and the corpus."""

    vocab_size: int
    hidden_size: int
    batch_size: int
    num_steps: int
    threads: int
    seed: int
    corpus: Tensor

    def adjacent_epoch(self) -> list[tuple[Tensor, Tensor]]:
        """Adjacent sampling: the ids and targets, both [num_steps, batch_size], of each update."""
        length, steps = len(self.corpus) // self.batch_size, self.num_steps
        lanes = self.corpus[: self.batch_size * length].view(self.batch_size, length).T
        stretches = [lanes[i : i + steps + 1] for i in range(0, (length - 1) // steps * steps, steps)]
        return [(stretch[:-1].contiguous(), stretch[1:].contiguous()) for stretch in stretches]

    def initial_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """W_x [V, 3H], W_h [H, 3H] and W_y [H, V], gate order r, z, n; all biases start at zero."""
        random = torch.Generator().manual_seed(self.seed)
        gates = 3 * self.hidden_size
        shapes = [(self.vocab_size, gates), (self.hidden_size, gates), (self.hidden_size, self.vocab_size)]
        W_x, W_h, W_y = (torch.randn(shape, generator=random) * INIT_SCALE for shape in shapes)
        return W_x, W_h, W_y


def read_job() -> Job:
    """The job from the command line; sets the number of threads."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for name in ("vocab", "hidden", "batch", "steps", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--ids", required=True, help="the corpus: little-endian uint32 ids")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    corpus = torch.from_numpy(numpy.fromfile(arguments.ids, dtype="<u4").astype(numpy.int64))
    if len(corpus) == 0 or int(corpus.max()) >= arguments.vocab:
        parser.error(f"--ids: expected ids under {arguments.vocab}, received {arguments.ids}")
    return Job(
        vocab_size=arguments.vocab,
        hidden_size=arguments.hidden,
        batch_size=arguments.batch,
        num_steps=arguments.steps,
        threads=arguments.threads,
        seed=arguments.seed,
        corpus=corpus,
    )


def serve(job: Job, epoch: Callable[[], float], characters: int, **about: bool) -> None:
    """Answers the lines of standard input; `epoch` trains one epoch and returns its summed loss in nats."""
    say({"ready": True, "torch": torch.__version__, "threads": job.threads, **about})
    for line in sys.stdin:
        verb, count = line.split()
        if verb != "epochs":
            raise ValueError(f"expected 'epochs N', received {line!r}")
        seconds = []
        for _ in range(int(count)):
            start = time.perf_counter()
            loss = epoch()
            seconds.append(time.perf_counter() - start)
        say({"seconds": seconds, "perplexity": math.exp(loss / characters)})


def say(message: dict[str, object]) -> None:
    """Prints one line of JSON."""
    print(json.dumps(message), flush=True)
