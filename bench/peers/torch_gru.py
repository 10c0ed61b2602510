"""PyTorch as most people write it: torch.nn.GRU on one-hot vectors, torch.nn.Linear, autograd.

torch.nn.GRU trains two biases a gate where the other programs train one, so its perplexity differs a
little. The conversation is in job.py.
"""

import torch
from torch.nn.functional import cross_entropy, one_hot

from job import LEARNING_RATE, MAX_GRAD_NORM, Job, read_job, serve


class Network(torch.nn.Module):
    """The model: ids [T, B] and state [1, B, H] -> logits [T * B, V] and the last state."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.vocab_size = job.vocab_size
        self.gru = torch.nn.GRU(job.vocab_size, job.hidden_size)
        self.output = torch.nn.Linear(job.hidden_size, job.vocab_size)
        for parameter in self.parameters():
            torch.nn.init.zeros_(parameter)
        W_x, W_h, W_y = job.initial_weights()
        self.gru.weight_ih_l0.data.copy_(W_x.T)
        self.gru.weight_hh_l0.data.copy_(W_h.T)
        self.output.weight.data.copy_(W_y.T)

    def forward(self, ids: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One stretch of text."""
        hidden, state = self.gru(one_hot(ids, self.vocab_size).float(), state)
        return self.output(hidden.flatten(0, 1)), state


def main() -> None:
    """Runs the peer."""
    job = read_job()
    network = Network(job)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    updates = job.adjacent_epoch()

    def epoch() -> float:
        state = torch.zeros(1, job.batch_size, job.hidden_size)
        total = 0.0
        for ids, targets in updates:
            logits, state = network(ids, state.detach())
            loss = cross_entropy(logits, targets.flatten(), reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
            optimizer.step()
            total += loss.item()
        return total

    serve(job, epoch, characters=sum(targets.numel() for _, targets in updates))


if __name__ == "__main__":
    main()
