"""Loads a model written by gru-native into PyTorch, unconverted, and writes what PyTorch makes of it as JSON.

    python check_model.py MODEL.safetensors PREFIX LENGTH RESULT.json

The tensors go into torch.nn.GRU + torch.nn.Linear by load_state_dict as they are named in the file. The
result holds the greedy continuation of the prefix (`length` characters after it) and the float32
logits of the prefix's last character, rounded to nine significant digits.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import one_hot


class LanguageModel(torch.nn.Module):
    """Character-level GRU language model with PyTorch's own layers."""

    def __init__(self, vocab_size: int, hidden_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.gru = torch.nn.GRU(vocab_size, hidden_size)
        self.output = torch.nn.Linear(hidden_size, vocab_size)

    def forward(self, ids: list[int], state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Ids of one lane, and the state after earlier ones -> logits [V] of the last id, and the state."""
        inputs = one_hot(torch.tensor(ids), self.vocab_size).float()
        hidden, state = self.gru(inputs, state)
        return self.output(hidden[-1]), state


def load(path: Path) -> tuple[LanguageModel, list[str]]:
    """The model and its vocabulary; a tensor too many, missing or of another shape is an error."""
    with safe_open(path, "pt") as file:
        vocabulary = json.loads(file.metadata()["gru-native"])["vocabulary"]
    tensors = load_file(path)
    model = LanguageModel(len(vocabulary), tensors["gru.weight_hh_l0"].shape[1])
    model.load_state_dict(tensors, strict=True)
    return model, vocabulary


@torch.no_grad()
def greedy(model: LanguageModel, ids: list[int], length: int) -> tuple[list[int], Tensor]:
    """`length` arg-max ids after `ids`, from zero state, and the logits that gave the first of them."""
    prefix_logits, state = model(ids, None)
    logits, continuation = prefix_logits, []
    for _ in range(length):
        continuation.append(int(logits.argmax()))
        logits, state = model(continuation[-1:], state)
    return continuation, prefix_logits


def main() -> None:
    """Reads the arguments, writes the result."""
    parser = argparse.ArgumentParser(description="what PyTorch makes of a model written by gru-native")
    parser.add_argument("model", type=Path)
    parser.add_argument("prefix", help="at least one character, all in the model's vocabulary")
    parser.add_argument("length", type=int, help="characters to write after the prefix")
    parser.add_argument("result", type=Path, help="the JSON file to write")
    arguments = parser.parse_args()

    model, vocabulary = load(arguments.model)
    unknown = set(arguments.prefix) - set(vocabulary)
    if unknown or not arguments.prefix:
        parser.error(f"prefix: expected characters of the vocabulary, received {arguments.prefix!r}")
    ids = [vocabulary.index(character) for character in arguments.prefix]
    continuation, logits = greedy(model, ids, arguments.length)
    result = {
        "version": 1,
        "generator": "test/reference/check_model.py",
        "torch": torch.__version__,
        "modelSha256": hashlib.sha256(arguments.model.read_bytes()).hexdigest(),
        "prefix": arguments.prefix,
        "text": arguments.prefix + "".join(vocabulary[i] for i in continuation),
        "logits": [float(f"{logit:.9g}") for logit in logits.tolist()],
    }
    arguments.result.write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
