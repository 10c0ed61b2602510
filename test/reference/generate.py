"""Writes the reference files that the tests of gru-native compare with: test/reference/*.safetensors.

Run it with the pinned Python (no test needs Python, only this script does):

    bash test/reference/install.sh FOLDER
    FOLDER/bin/python test/reference/generate.py

The model (gate order r, z, n):

    r_t = sigmoid(W_x[id_t, r] + h_{t-1} W_h[:, r] + b_r)
    z_t = sigmoid(W_x[id_t, z] + h_{t-1} W_h[:, z] + b_z)
    q_t = h_{t-1} W_h[:, n] (+ b_q)
    n_t = tanh(W_x[id_t, n] + r_t * q_t + b_n)
    h_t = z_t * h_{t-1} + (1 - z_t) * n_t
    logits_t = h_t W_y + b_y

Inputs are float32 and int32; results are float64, computed from them in float64, with autograd's
gradients. The equations above are checked against torch.nn.GRU before anything is written.

step-*          one forward and backward pass from the carried state `state`: ids and targets [T, B]
                -> logits [T, B, V], loss (nats, summed), final_state [B, H], grad.*, gradient_norm
training-track  ten updates of clipped SGD under adjacent sampling from the initial parameters, over
                an epoch's end: corpus [n] -> losses [10] (nats, summed), norms [10] (before
                clipping), final_state [B, H], final.*

Every file has one metadata key, "gru-native-reference": JSON with version, generator, seed, torch, case.
"""

import json
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

FOLDER = Path(__file__).parent

Tensors = dict[str, Tensor]


def draw_parameters(
    random: torch.Generator, vocab_size: int, hidden_size: int, deviation: float, recurrent_bias: bool
) -> Tensors:
    """Parameters from N(0, deviation), biases too, float32."""
    shapes = {
        "W_x": (vocab_size, 3 * hidden_size),
        "W_h": (hidden_size, 3 * hidden_size),
        "b": (3 * hidden_size,),
        "b_q": (hidden_size,),
        "W_y": (hidden_size, vocab_size),
        "b_y": (vocab_size,),
    }
    if not recurrent_bias:
        del shapes["b_q"]
    return {name: torch.randn(shape, generator=random) * deviation for name, shape in shapes.items()}


def leaves(parameters: Tensors) -> Tensors:
    """Float64 copies that collect gradients."""
    return {name: tensor.double().requires_grad_() for name, tensor in parameters.items()}


def forward(parameters: Tensors, ids: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """The model's equations: ids [T, B] and state [B, H] -> logits [T, B, V] and the last state [B, H]."""
    logits = []
    for step_ids in ids:
        x_r, x_z, x_n = (parameters["W_x"][step_ids] + parameters["b"]).chunk(3, dim=1)
        h_r, h_z, h_n = (state @ parameters["W_h"]).chunk(3, dim=1)
        reset = torch.sigmoid(x_r + h_r)
        update = torch.sigmoid(x_z + h_z)
        q = h_n + parameters.get("b_q", 0)
        candidate = torch.tanh(x_n + reset * q)
        state = update * state + (1 - update) * candidate
        logits.append(state @ parameters["W_y"] + parameters["b_y"])
    return torch.stack(logits), state


def summed_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats, summed over all characters."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


def global_norm(gradients: list[Tensor]) -> Tensor:
    """L2 norm over all gradients together."""
    return torch.cat([gradient.flatten() for gradient in gradients]).norm()


def named_results(logits: Tensor, loss: Tensor, final_state: Tensor, gradients: Tensors) -> Tensors:
    """The results of one pass under their names in the file."""
    return {
        "logits": logits.detach(),
        "loss": loss.detach().reshape(1),
        "final_state": final_state.detach(),
        "gradient_norm": global_norm(list(gradients.values())).reshape(1),
        **{f"grad.{name}": gradient for name, gradient in gradients.items()},
    }


def step_results(parameters: Tensors, ids: Tensor, targets: Tensor, state: Tensor) -> Tensors:
    """One forward and backward pass in float64 by the equations above."""
    trained = leaves(parameters)
    logits, final_state = forward(trained, ids, state.double())
    loss = summed_loss(logits, targets)
    loss.backward()
    return named_results(logits, loss, final_state, {name: tensor.grad for name, tensor in trained.items()})


def torch_gru_results(parameters: Tensors, ids: Tensor, targets: Tensor, state: Tensor) -> Tensors:
    """The same pass by torch.nn.GRU and torch.nn.Linear in float64, under the names of step_results."""
    hidden_size, vocab_size = parameters["W_y"].shape
    gru = torch.nn.GRU(vocab_size, hidden_size, dtype=torch.float64)
    output = torch.nn.Linear(hidden_size, vocab_size, dtype=torch.float64)
    b_q = parameters.get("b_q", torch.zeros(hidden_size))
    gru.load_state_dict({
        "weight_ih_l0": parameters["W_x"].T,
        "weight_hh_l0": parameters["W_h"].T,
        "bias_ih_l0": parameters["b"],
        "bias_hh_l0": torch.cat([torch.zeros(2 * hidden_size), b_q]),
    })
    output.load_state_dict({"weight": parameters["W_y"].T, "bias": parameters["b_y"]})
    hidden, final_state = gru(one_hot(ids, vocab_size).double(), state.double()[None])
    logits = output(hidden)
    loss = summed_loss(logits, targets)
    loss.backward()
    gradients = {
        "W_x": gru.weight_ih_l0.grad.T,
        "W_h": gru.weight_hh_l0.grad.T,
        "b": gru.bias_ih_l0.grad,
        "W_y": output.weight.grad.T,
        "b_y": output.bias.grad,
    }
    if "b_q" in parameters:
        gradients["b_q"] = gru.bias_hh_l0.grad[2 * hidden_size :]
    return named_results(logits, loss, final_state[0], gradients)


def step_case(
    seed: int,
    vocab_size: int,
    hidden_size: int,
    batch_size: int,
    num_steps: int,
    deviation: float = 0.3,
    recurrent_bias: bool = False,
) -> Tensors:
    """Random inputs of one update and its results, checked against torch.nn.GRU."""
    random = torch.Generator().manual_seed(seed)
    parameters = draw_parameters(random, vocab_size, hidden_size, deviation, recurrent_bias)
    state = torch.rand(batch_size, hidden_size, generator=random) * 1.8 - 0.9
    text = torch.randint(vocab_size, (num_steps + 1, batch_size), generator=random)
    ids, targets = text[:-1], text[1:]

    results = step_results(parameters, ids, targets, state)
    expected = torch_gru_results(parameters, ids, targets, state)
    torch.testing.assert_close(results, expected, rtol=1e-12, atol=1e-12)
    return {**parameters, "state": state, "ids": ids.int(), "targets": targets.int(), **results}


def draw_corpus(random: torch.Generator, vocab_size: int, length: int) -> Tensor:
    """Ids that a model can learn from: mostly the successor (7 i + 3) of the last id, else a random one."""
    jumps = torch.rand(length, generator=random) < 0.3
    others = torch.randint(vocab_size, (length,), generator=random)
    corpus = [0]
    for jump, other in zip(jumps[1:].tolist(), others[1:].tolist()):
        corpus.append(other if jump else (7 * corpus[-1] + 3) % vocab_size)
    return torch.tensor(corpus)


def adjacent_epoch(corpus: Tensor, batch_size: int, num_steps: int) -> list[tuple[Tensor, Tensor]]:
    """Adjacent sampling: (ids, targets), both [T, B], of each update of an epoch."""
    length = len(corpus) // batch_size
    lanes = corpus[: batch_size * length].view(batch_size, length).T
    starts = range(0, (length - 1) // num_steps * num_steps, num_steps)
    return [(lanes[i : i + num_steps], lanes[i + 1 : i + 1 + num_steps]) for i in starts]


def training_case(seed: int) -> Tensors:
    """Ten updates on a corpus of 163 ids: 6 updates an epoch (4 lanes of 40 ids), 3 ids left over."""
    vocab_size, hidden_size, batch_size, num_steps, updates = 23, 20, 4, 6, 10
    learning_rate, max_grad_norm = 0.2, 5.0
    random = torch.Generator().manual_seed(seed)
    initial = draw_parameters(random, vocab_size, hidden_size, 0.1, recurrent_bias=False)
    corpus = draw_corpus(random, vocab_size, 163)
    epoch = adjacent_epoch(corpus, batch_size, num_steps)
    assert len(epoch) == 6
    trained = leaves(initial)
    track = []
    for update in range(updates):
        if update % len(epoch) == 0:
            state = torch.zeros(batch_size, hidden_size, dtype=torch.float64)
        ids, targets = epoch[update % len(epoch)]
        logits, state = forward(trained, ids, state)
        loss = summed_loss(logits, targets)
        gradients = torch.autograd.grad(loss, list(trained.values()))
        norm = global_norm(list(gradients)).item()
        scale = min(max_grad_norm / norm, 1.0)
        with torch.no_grad():
            for parameter, gradient in zip(trained.values(), gradients):
                parameter -= learning_rate * scale * gradient
        state = state.detach()
        track.append([loss.item(), norm])
    losses, norms = torch.tensor(track, dtype=torch.float64).T
    assert norms.min() < max_grad_norm < norms.max(), norms
    return {
        **initial,
        "corpus": corpus.int(),
        "batch_size": torch.tensor([batch_size], dtype=torch.int32),
        "num_steps": torch.tensor([num_steps], dtype=torch.int32),
        "learning_rate": torch.tensor([learning_rate], dtype=torch.float64),
        "max_grad_norm": torch.tensor([max_grad_norm], dtype=torch.float64),
        "losses": losses,
        "norms": norms,
        "final_state": state,
        **{f"final.{name}": tensor.detach() for name, tensor in trained.items()},
    }


def write(case: str, seed: int, tensors: Tensors) -> None:
    """Writes one reference file beside this script."""
    origin = {"version": 1, "generator": "test/reference/generate.py", "seed": seed}
    description = {**origin, "torch": torch.__version__, "case": case}
    path = FOLDER / f"{case}.safetensors"
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={"gru-native-reference": json.dumps(description)})
    print(f"{path.name}: {path.stat().st_size} bytes")


def main() -> None:
    """Writes every case."""
    torch.set_num_threads(1)
    cases = {
        "step-odd": partial(step_case, vocab_size=11, hidden_size=37, batch_size=5, num_steps=11),
        "step-one": partial(step_case, vocab_size=2, hidden_size=1, batch_size=1, num_steps=1, deviation=1.0),
        "step-bias": partial(
            step_case, vocab_size=19, hidden_size=33, batch_size=9, num_steps=7, recurrent_bias=True
        ),
        "training-track": training_case,
    }
    for seed, (case, make) in enumerate(cases.items(), start=1):
        write(case, seed, make(seed))


if __name__ == "__main__":
    main()
