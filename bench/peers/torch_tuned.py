"""PyTorch at its best for this job: forward and backward by hand, in few large matrix products.

A row gather stands for the one-hot product; beside the recurrence, each product is one call an update,
into memory kept from update to update; the vocabulary is padded to a multiple of 64; the element-wise
parts are compiled where a C++ compiler is found. One bias a gate, gate order r, z, n. The conversation
is in job.py.
"""

import shutil

import torch
from torch import Tensor

from job import LEARNING_RATE, MAX_GRAD_NORM, Job, read_job, serve

PADDING = 64
PADDED_BIAS = -1e30


def gates(x: Tensor, q: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """One step forward: x side and h side [B, 3H], last state [B, H] -> r, z, n [B, 3H], state [B, H]."""
    x_r, x_z, x_n = x.chunk(3, dim=1)
    q_r, q_z, q_n = q.chunk(3, dim=1)
    r = torch.sigmoid(x_r + q_r)
    z = torch.sigmoid(x_z + q_z)
    n = torch.tanh(x_n + r * q_n)
    return torch.cat([r, z, n], 1), z * h + (1 - z) * n


def gates_backward(
    d_later: Tensor, d_output: Tensor, rzn: Tensor, q: Tensor, h: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One step back, from the gradients [B, H] that reach the state through later steps and the logits.

    Returns the gradient of the x side and of the h side [B, 3H], and of the last state through z [B, H].
    """
    r, z, n = rzn.chunk(3, dim=1)
    d = d_later + d_output
    d_n = d * (1 - z) * (1 - n * n)
    d_z = d * (h - n) * z * (1 - z)
    d_r = d_n * q.chunk(3, dim=1)[2] * r * (1 - r)
    return torch.cat([d_r, d_z, d_n], 1), torch.cat([d_r, d_z, d_n * r], 1), d * z


def softmax_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The summed cross-entropy in nats; overwrites the logits [T * B, V] with its gradient."""
    normalizer = torch.logsumexp(logits, 1, keepdim=True)
    loss = (normalizer - logits.gather(1, targets[:, None])).sum()
    is_target = torch.arange(logits.shape[1]) == targets[:, None]
    logits.copy_(torch.exp(logits - normalizer) - is_target.float())
    return loss


class Network:
    """The parameters and one update of them."""

    def __init__(self, job: Job) -> None:
        hidden_size, steps, batch_size = job.hidden_size, job.num_steps, job.batch_size
        rows, padding = steps * batch_size, -job.vocab_size % PADDING
        self.W_x, self.W_h, W_y = job.initial_weights()
        self.W_y = torch.nn.functional.pad(W_y, (0, padding))
        self.b = torch.zeros(3 * hidden_size)
        self.b_y = torch.nn.functional.pad(torch.zeros(job.vocab_size), (0, padding), value=PADDED_BIAS)
        self.parameters = [self.W_x, self.W_h, self.b, self.W_y, self.b_y]
        self.gradients = [torch.empty_like(parameter) for parameter in self.parameters]
        self.x = torch.empty(rows, 3 * hidden_size)
        self.q = torch.empty(steps, batch_size, 3 * hidden_size)
        self.states = torch.empty((steps + 1) * batch_size, hidden_size)
        self.logits = torch.empty(rows, job.vocab_size + padding)
        self.d_output = torch.empty(rows, hidden_size)
        self.d_x = torch.empty_like(self.x)
        self.d_q = torch.empty_like(self.x)

    def update(self, ids: Tensor, targets: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One clipped step of SGD; returns the summed loss and the state after the last character."""
        steps, batch_size = ids.shape
        rows = ids.flatten()
        torch.index_select(self.W_x, 0, rows, out=self.x).add_(self.b)
        x, q = self.x.view(steps, batch_size, -1).unbind(), self.q.unbind()
        rzn, states = [], [state]
        for t in range(steps):
            torch.mm(states[t], self.W_h, out=q[t])
            activations, state = gates(x[t], q[t], states[t])
            rzn.append(activations)
            states.append(state)
        torch.cat(states, out=self.states)
        earlier, hidden = self.states[:-batch_size], self.states[batch_size:]
        torch.addmm(self.b_y, hidden, self.W_y, out=self.logits)
        loss = softmax_loss(self.logits, targets.flatten())

        d_logits = self.logits
        torch.mm(d_logits, self.W_y.T, out=self.d_output)
        d_output = self.d_output.view(steps, batch_size, -1).unbind()
        d_x, d_q = [state] * steps, [state] * steps
        d_state = torch.zeros_like(state)
        for t in reversed(range(steps)):
            d_x[t], d_q[t], d_state = gates_backward(d_state, d_output[t], rzn[t], q[t], states[t])
            d_state.addmm_(d_q[t], self.W_h.T)
        torch.cat(d_x, out=self.d_x)
        torch.cat(d_q, out=self.d_q)
        d_W_x, d_W_h, d_b, d_W_y, d_b_y = self.gradients
        d_W_x.zero_().index_add_(0, rows, self.d_x)
        torch.mm(earlier.T, self.d_q, out=d_W_h)
        torch.sum(self.d_x, 0, out=d_b)
        torch.mm(hidden.T, d_logits, out=d_W_y)
        torch.sum(d_logits, 0, out=d_b_y)

        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(self.gradients))))
        scale = min(MAX_GRAD_NORM / norm, 1.0)
        torch._foreach_add_(self.parameters, self.gradients, alpha=-LEARNING_RATE * scale)
        return loss, state


def compile_parts() -> bool:
    """Compiles the element-wise parts, if a C++ compiler is there."""
    global gates, gates_backward, softmax_loss
    if shutil.which("g++") is None:
        return False
    parts = (gates, gates_backward, softmax_loss)
    gates, gates_backward, softmax_loss = (torch.compile(part, dynamic=False) for part in parts)
    return True


def main() -> None:
    """Runs the peer."""
    torch.set_grad_enabled(False)
    job = read_job()
    compiled = compile_parts()
    updates = job.adjacent_epoch()
    zero_state = torch.zeros(job.batch_size, job.hidden_size)
    Network(job).update(*updates[0], zero_state)  # compiles
    network = Network(job)

    def epoch() -> float:
        state, total = zero_state, 0.0
        for ids, targets in updates:
            loss, state = network.update(ids, targets, state)
            total += loss.item()
        return total

    serve(job, epoch, characters=sum(targets.numel() for _, targets in updates), compiled=compiled)


if __name__ == "__main__":
    main()
