"""PyTorch on a GPU: the network of torch_gru.py, eager, and with each epoch captured in one CUDA graph.

Takes the arguments of job.py. Holds no conversation: it trains EPOCHS epochs each way and prints a line
of JSON for each, {"mode": "eager" or "graph", "secondsPerEpoch": median, "seconds": [of each epoch],
"perplexity": of the last, ...}. Where torch sees no GPU it prints {"skipped": why}. Both ways are fp32
throughout (TF32 is off), and neither waits for the GPU within an epoch. What needs a GPU here has not
run on one yet.
"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from job import LEARNING_RATE, MAX_GRAD_NORM, Job, read_job, say
from torch_gru import Network

EPOCHS = 20
WARM_UP_EPOCHS = 3


class Training:
    """The network on the device, and everything that an epoch reads and writes, at fixed addresses."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.network = Network(job).to(device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=LEARNING_RATE)
        self.initial = [parameter.detach().clone() for parameter in self.network.parameters()]
        self.updates = [(ids.to(device), targets.to(device)) for ids, targets in job.adjacent_epoch()]
        self.characters = sum(targets.numel() for _, targets in self.updates)
        self.zero_state = torch.zeros(1, job.batch_size, job.hidden_size, device=device)
        self.loss = torch.zeros((), device=device)

    def enqueue_epoch(self) -> None:
        """Gives the device one epoch to train; its summed loss in nats will be in `loss`."""
        self.loss.zero_()
        state = self.zero_state
        for ids, targets in self.updates:
            logits, state = self.network(ids, state.detach())
            loss = cross_entropy(logits, targets.flatten(), reduction="sum")
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
            self.optimizer.step()
            self.loss += loss.detach()

    def restart(self) -> None:
        """Puts the first weights back in place."""
        with torch.no_grad():
            for parameter, initial in zip(self.network.parameters(), self.initial, strict=True):
                parameter.copy_(initial)


def capture(training: Training) -> Callable[[], None]:
    """Captures an epoch on a stream of its own, warmed up there; returns what launches it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_EPOCHS):
            training.enqueue_epoch()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        training.enqueue_epoch()
    return graph.replay


def measure(mode: str, training: Training, enqueue: Callable[[], None], wait: Callable[[], None]) -> None:
    """Trains from the first weights, an epoch a call of `enqueue`, and prints the line."""
    training.restart()
    seconds, loss = [], math.nan
    for _ in range(EPOCHS):
        wait()
        start = time.perf_counter()
        enqueue()
        loss = training.loss.item()
        seconds.append(time.perf_counter() - start)
    say(
        {
            "mode": mode,
            "secondsPerEpoch": statistics.median(seconds),
            "seconds": seconds,
            "perplexity": math.exp(loss / training.characters),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    )


def main() -> None:
    """Runs the peer."""
    job = read_job()
    if not torch.cuda.is_available():
        say({"skipped": f"torch {torch.__version__} sees no GPU"})
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device("cuda")

    training = Training(job, device)
    for _ in range(WARM_UP_EPOCHS):
        training.enqueue_epoch()
    measure("eager", training, training.enqueue_epoch, torch.cuda.synchronize)

    training = Training(job, device)
    measure("graph", training, capture(training), torch.cuda.synchronize)


if __name__ == "__main__":
    main()
