"""`carousel import` reads PyTorch's language models: log probabilities of `carousel score` beside torch's, within 1e-4.

    pytest tests/python/test_pytorch.py

It runs only where torch can be imported, with the program that was built last in target/release.
"""

import collections
import json
import os
import subprocess

import pytest

torch = pytest.importorskip("torch")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
WORDS = ["<unk>", "<eos>"] + [f"word{number}" for number in range(30)]
TEXT = "word3 word1 word4 word1 word5 word9 word2 word6\nword5 word3 word5"


class Model(torch.nn.Module):
    """Embedding, layers and a linear decoder."""

    def __init__(self, layers, tied=False, vocabulary=len(WORDS)):
        super().__init__()
        self.encoder = torch.nn.Embedding(vocabulary, layers.input_size)
        self.rnn = layers
        self.decoder = torch.nn.Linear(layers.hidden_size, vocabulary)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        return self.decoder(self.rnn(self.encoder(ids))[0])


class Stack(torch.nn.Module):
    """Embedding, layers of different widths as AWD-LSTM has them, and a tied decoder."""

    def __init__(self, widths=(10, 24, 24, 10)):
        super().__init__()
        self.encoder = torch.nn.Embedding(len(WORDS), widths[0])
        self.rnns = torch.nn.ModuleList(map(torch.nn.LSTM, widths, widths[1:]))
        self.decoder = torch.nn.Linear(widths[-1], len(WORDS))
        self.decoder.weight = self.encoder.weight

    def forward(self, ids):
        outputs = self.encoder(ids)
        for layer in self.rnns:
            outputs = layer(outputs)[0]
        return self.decoder(outputs)


def salesforce(model):
    """The state dict under the names of salesforce/awd-lstm-lm."""
    names = {"weight_hh_l0": "module.weight_hh_l0_raw"}
    return renamed(model, lambda layer, last: f"rnns.{layer}.{names.get(last, 'module.' + last)}")


def fastai(model):
    """The state dict under the names of fastai, where the last step's recurrent weights, some dropped, stand beside the raw."""
    names = {"weight_hh_l0": "weight_hh_l0_raw"}
    state = renamed(model, lambda layer, last: f"0.rnns.{layer}.{names.get(last, 'module.' + last)}")
    for layer in range(len(model.rnns)):
        raw = state[f"0.rnns.{layer}.weight_hh_l0_raw"]
        state[f"0.rnns.{layer}.module.weight_hh_l0"] = torch.nn.functional.dropout(raw, 0.5)
    ends = {"encoder.weight": "0.encoder.weight", "decoder.weight": "1.decoder.weight", "decoder.bias": "1.decoder.bias"}
    state = collections.OrderedDict((ends.get(name, name), tensor) for name, tensor in state.items())
    state["0.encoder_dp.emb.weight"] = state["0.encoder.weight"]
    return state


def renamed(model, name_of):
    state = collections.OrderedDict()
    for name, tensor in model.state_dict().items():
        parts = name.split(".")
        state[name_of(parts[1], parts[2]) if parts[0] == "rnns" else name] = tensor
    return state


def spread(model):
    """Weights large enough to tell mistakes."""
    torch.manual_seed(5)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.double().eval().requires_grad_(False)


def carousel(*arguments):
    done = subprocess.run([CAROUSEL, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def check(folder, model, state, *flags, suffix="pt", dtype=torch.float32):
    """Imports a state dict, and compares the log probabilities of a text's words."""
    path = folder / f"model.{suffix}"
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    if suffix == "safetensors":
        save_file = pytest.importorskip("safetensors.torch").save_file
        save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save({"model_state_dict": state, "epoch": 3, "loss": 2.5}, path)
    words = folder / "words.txt"
    words.write_text("\n".join(WORDS) + "\n")
    carousel("import", path, "-o", folder / "model", "--vocabulary", words, "--level", "word", *flags)
    scored = json.loads(carousel("score", "-m", folder / "model", "--tokens", "--json", TEXT).stdout)
    # A text begins after a line end.
    ids = [1] + [WORDS.index(word) for word in TEXT.replace("\n", " <eos> ").split()]
    logits = model(torch.tensor(ids)[:, None])[:-1, 0]
    expected = torch.log_softmax(logits, dim=1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    found = [token["log_probability"] for token in scored["token_scores"]]
    assert len(found) == len(expected)
    assert (torch.tensor(found, dtype=torch.float64) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_recurrent_layers(tmp_path, kind, layers, tied, suffix):
    model = spread(Model(kind(12, 12 if tied else 20, layers), tied))
    check(tmp_path, model, model.state_dict(), suffix=suffix)


def test_relu(tmp_path):
    model = spread(Model(torch.nn.RNN(12, 20, nonlinearity="relu")))
    model.rnn.weight_hh_l0 *= 0.2
    check(tmp_path, model, model.state_dict(), "--activation", "relu")


def test_without_bias(tmp_path):
    model = spread(Model(torch.nn.LSTM(12, 20, bias=False)))
    check(tmp_path, model, model.state_dict())


@pytest.mark.parametrize("names", [salesforce, fastai])
def test_awd_lstm(tmp_path, names):
    model = spread(Stack())
    check(tmp_path, model, names(model))


def test_doubles(tmp_path):
    model = spread(Model(torch.nn.GRU(12, 20)))
    check(tmp_path, model, model.state_dict(), dtype=torch.float64)


def test_bytes(tmp_path):
    model = spread(Model(torch.nn.LSTM(12, 20), vocabulary=256))
    torch.save({name: tensor.float() for name, tensor in model.state_dict().items()}, tmp_path / "model.pth")
    carousel("import", tmp_path / "model.pth", "-o", tmp_path / "model")
    scored = json.loads(carousel("score", "-m", tmp_path / "model", "--json", "h\u00e9").stdout)
    ids = torch.tensor(list("\nh\u00e9".encode()))
    logs = torch.log_softmax(model(ids[:-1, None])[:, 0], dim=1)
    expected = logs.gather(1, ids[1:, None]).sum().item()
    assert scored["tokens"] == len(ids) - 1
    assert abs(scored["log_probability"] - expected) < 1e-4


def test_whole_models_are_refused(tmp_path):
    torch.save(Model(torch.nn.LSTM(12, 20)), tmp_path / "model.pt")
    done = subprocess.run([CAROUSEL, "import", tmp_path / "model.pt", "-o", tmp_path / "model"], capture_output=True, text=True)
    assert done.returncode == 1 and "Model, which is refused" in done.stderr, done.stderr
