"""`carousel export --onnx` writes what the program computes: ONNX Runtime beside `carousel score` and `classify`, within 1e-4.

    pytest tests/python/test_onnx.py

It runs only where onnx and onnxruntime can be imported, with the program that was built last in target/release; networks of
all cells are trained for a step, so that `carousel-train` has to be built too.
"""

import json
import os
import subprocess

import pytest

numpy = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
# A token of each is a character: the line end at which every text begins comes first.
TEXT = "The old fox went home."

NETWORKS = {
    "lstm": "--cell lstm --num-layers 2",
    "gru": "--cell gru",
    "rnn": "--cell rnn",
    "relu": "--cell rnn --activation relu",
    "leaky": "--cell leaky --leak learn",
    "skip": "--cell skip --skip 3",
    "norm": "--cell lstm --layer-norm --residual --num-layers 2",
    "learned": "--cell gru --initial-state learned",
    "tied": "--cell lstm --tie-weights --hidden-size 24 --embedding-size 24",
    "rotary": "--cell transformer --num-layers 2",
    "places": "--cell transformer --positions learned",
}

CLASSIFIERS = {
    "gru": "--cell gru",
    "lstm": "--cell lstm --num-layers 2 --bidirectional --layer-norm --residual",
    "skip": "--cell skip --skip 3 --initial-state learned",
}


def carousel(*arguments):
    done = subprocess.run([CAROUSEL, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("network", NETWORKS)
def test_logits(tmp_path, network):
    if not os.path.exists(CAROUSEL + "-train"):
        pytest.skip("carousel-train is not built")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(f"The {who} fox went {where}.\n" for who in ("old", "red") * 40 for where in ("home", "out")))
    size = [] if "--hidden-size" in NETWORKS[network] else ["--hidden-size", "32"]
    flags = [*NETWORKS[network].split(), *size, "--steps", "20", "--learning-rate", "0.02", "--interpolate=false", "-q"]
    carousel("train", corpus, "-o", tmp_path / "model", *flags)
    carousel("export", "-m", tmp_path / "model", "--onnx", tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    scored = json.loads(carousel("score", "-m", tmp_path / "model", "--tokens", "--json", TEXT))
    expected = [token["log_probability"] for token in scored["token_scores"]]
    assert len(expected) == len(TEXT)
    ids = json.loads((tmp_path / "model" / "tokenizer.json").read_text())["model"]["vocab"]
    found = log_probabilities(tmp_path / "model.onnx", [ids[character] for character in TEXT])
    assert numpy.abs(numpy.array(found) - expected).max() < 1e-4


def log_probabilities(path, tokens):
    """Those of the tokens after the first of a text, of two texts side by side, which are alike."""
    session = onnxruntime.InferenceSession(str(path))
    metadata = session.get_modelmeta().custom_metadata_map
    state = {name: beginning(begin) for name, begin in json.loads(metadata["initial_state"]).items()}
    names = [output.name for output in session.get_outputs()]
    found = []
    for before, token in zip([int(metadata["first_token"]), *tokens], tokens):
        outputs = dict(zip(names, session.run(None, {"token": numpy.array([before] * 2), **state})))
        state = {name: outputs[name + "_next"] for name in state}
        logits = outputs["logits"].astype(float)
        assert logits.shape == (2, logits.shape[1]) and numpy.abs(logits[0] - logits[1]).max() < 1e-5
        found.append(logits[0, token] - numpy.log(numpy.exp(logits[0]).sum()))
    return found


def beginning(begin):
    shape = [2 if size == "batch" else size for size in begin["shape"]]
    return numpy.broadcast_to(numpy.float32(begin.get("values", begin.get("value"))), shape).copy()


@pytest.mark.parametrize("network", CLASSIFIERS)
def test_classifiers(tmp_path, network):
    safetensors = pytest.importorskip("safetensors.numpy")
    if not os.path.exists(CAROUSEL + "-train"):
        pytest.skip("carousel-train is not built")
    rows = [f"{label},the {kind} film of {who}" for who in range(20) for label, kind in (("good", "fine"), ("bad", "dull"))]
    (tmp_path / "films.csv").write_text("\n".join(["label,text", *rows]) + "\n")
    flags = [*CLASSIFIERS[network].split(), "--hidden-size", "24", "--level", "char", "--steps", "30", "-q"]
    carousel("train-classifier", tmp_path / "films.csv", "-o", tmp_path / "model", *flags)
    carousel("export", "-m", tmp_path / "model", "--onnx", tmp_path / "model.onnx")
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    metadata = session.get_modelmeta().custom_metadata_map
    labels = json.loads(metadata["labels"])
    texts = ["the fine film", "dull", "the dull of the fine film"]
    ids = json.loads((tmp_path / "model" / "tokenizer.json").read_text())["model"]["vocab"]
    encoded = [[int(metadata["first_token"]), *(ids[character] for character in text)] for text in texts]
    longest = max(map(len, encoded))
    tokens = numpy.array([text + [3] * (longest - len(text)) for text in encoded])
    logits = session.run(["logits"], {"tokens": tokens, "lengths": numpy.array([len(text) for text in encoded])})[0]
    # What is beside the network is taken out of the model.
    weights = safetensors.load_file(tmp_path / "model" / "model.safetensors")
    calibration = json.loads(metadata["calibration"])
    assert numpy.allclose(weights["calibration.scales"], [calibration["recurrent"], calibration["linear"]])
    assert numpy.allclose(weights["calibration.bias"], calibration["bias"])
    weights["calibration.scales"][:] = 1, 0
    weights["calibration.bias"][:] = 0
    safetensors.save_file(weights, tmp_path / "model" / "model.safetensors")
    lines = carousel("classify", "-m", tmp_path / "model", "--json", "--precision", "f32", *texts).splitlines()
    for line, found in zip(lines, numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True), strict=True):
        expected = json.loads(line)["probabilities"]
        assert max(abs(expected[label] - value) for label, value in zip(labels, found, strict=True)) < 1e-4
    assert numpy.abs(logits).max() > 0.01
