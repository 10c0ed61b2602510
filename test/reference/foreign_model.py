"""Writes a model as any PyTorch user would save one, and what PyTorch makes of it.

    python foreign_model.py

The files beside this script: foreign-model.safetensors (a state dict with all of PyTorch's biases, and no
metadata), foreign-vocabulary.json (its characters in id order) and foreign-model.json (greedy text and
logits, in the form of check_model.py).
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from check_model import LanguageModel, greedy

HERE = Path(__file__).parent
VOCABULARY = list("春眠不觉晓处闻啼鸟 夜")
PREFIX, LENGTH, HIDDEN_SIZE, SEED = "春眠", 100, 9, 11


def main() -> None:
    """Writes the three files."""
    torch.manual_seed(SEED)
    model = LanguageModel(len(VOCABULARY), HIDDEN_SIZE)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.8)  # large, so that the greedy text wanders
    path = HERE / "foreign-model.safetensors"
    save_file(model.state_dict(), path)
    continuation, logits = greedy(model, [VOCABULARY.index(character) for character in PREFIX], LENGTH)
    result = {
        "version": 1,
        "generator": "test/reference/foreign_model.py",
        "torch": torch.__version__,
        "modelSha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "prefix": PREFIX,
        "text": PREFIX + "".join(VOCABULARY[i] for i in continuation),
        "logits": [float(f"{logit:.9g}") for logit in logits.detach().tolist()],
    }
    (HERE / "foreign-model.json").write_text(json.dumps(result, ensure_ascii=False) + "\n", encoding="utf-8")
    vocabulary = json.dumps(VOCABULARY, ensure_ascii=False)
    (HERE / "foreign-vocabulary.json").write_text(vocabulary + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
