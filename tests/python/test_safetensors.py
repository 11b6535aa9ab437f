"""PyTorch's own modules, filled from our model.safetensors by name, give our logits."""

import json
from pathlib import Path

import numpy as np
import pytest

carousel = pytest.importorskip("carousel")
torch = pytest.importorskip("torch", reason="PyTorch is not installed here")
safetensors = pytest.importorskip("safetensors.torch")

REVIEWS = Path(__file__).resolve().parents[2] / "checkpoints" / "reviews"
TEXT = "\nThe film is long, but I would see it again. " * 5
#: Largest difference, of the largest logit: both sum in float32, in other orders.
TOLERANCE = 1e-4


def test_modules_of_pytorch_give_the_same_logits():
    config = json.loads((REVIEWS / "config.json").read_text())
    weights = {name: tensor.float() for name, tensor in safetensors.load_file(REVIEWS / "model.safetensors").items()}
    embedding = torch.nn.Embedding(config["vocab_size"], config["embedding_size"])
    lstm = torch.nn.LSTM(config["embedding_size"], config["hidden_size"], config["num_layers"], batch_first=True)
    embedding.load_state_dict(of_module(weights, "embedding."))
    lstm.load_state_dict(of_module(weights, "rnn."))
    assert config["cell"] == "lstm" and config["tie_weights"]

    writer = carousel.load(REVIEWS)
    ids = writer.tokenize(TEXT)
    with torch.no_grad():
        hidden, _ = lstm(embedding(torch.tensor(ids.astype(np.int64))[None]))
        expected = hidden[0] @ embedding.weight.T + weights["output.bias"]
    found = writer.logits(ids)
    assert found.shape == expected.shape
    scale = float(expected.abs().max())
    difference = float(np.abs(found - expected.numpy()).max())
    assert difference < TOLERANCE * scale, (difference, scale)


def of_module(weights, prefix):
    """The tensors of a module, named as it names them."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
