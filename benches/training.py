#!/usr/bin/env python3
"""Training speed of carousel and PyTorch: the same network on the same text, in turn, in one run.

    make bench
    python3 benches/training.py lstm gru rnn leaky skip

PyTorch has a virtual environment of its own (.venv), made on demand. The network is an embedding, stacked layers of a
cell (LSTM, unless others are named; leaky and skip stand beside PyTorch's plain RNN, which has no such cells) and an output, trained by truncated back-propagation through time, with the state carried from window to window,
clipping and AdamW: PyTorch in float32, eagerly, carousel in float32 and with bfloat16 products. Run it on a quiet
machine.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from pytorch import CAROUSEL, ROOT, machine, venv

TALES = os.path.join(ROOT, "corpora", "tales")
# Enough repetitions that no pass ends, and no evaluation falls, within the timed steps.
REPEATED = 10
ROUNDS = 3
# Steps before the timed ones.
WARM_UP = 10
SHAPES = [
    ({"num_layers": 2, "hidden_size": 512, "batch_size": 64, "bptt": 64}, 20),
    ({"num_layers": 1, "hidden_size": 256, "batch_size": 32, "bptt": 64}, 200),
]
PRECISIONS = ["f32", "bf16"]
MODULES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "leaky": "RNN", "skip": "RNN"}


def main(cells):
    python = venv()
    print(f"{machine()}; medians of {ROUNDS} runs of each, in turn; training tokens a second")
    print(f"{'network':42}{'carousel':>12}{'PyTorch':>12}{'ratio':>8}")
    folder = tempfile.TemporaryDirectory()
    corpus = os.path.join(folder.name, "corpus.txt")
    with open(corpus, "w") as file:
        file.write(text() * REPEATED)
    for shape, steps in ((dict(shape, cell=cell), steps) for shape, steps in SHAPES for cell in cells):
        rounds = []
        for _ in range(ROUNDS):
            ours = {precision: carousel(corpus, shape, steps, precision) for precision in PRECISIONS}
            command = [python, __file__, corpus, json.dumps(shape), str(steps)]
            rounds.append((ours, float(subprocess.check_output(command, text=True))))
        for precision in PRECISIONS:
            pairs = [(ours[precision], theirs) for ours, theirs in rounds]
            ours, theirs = (statistics.median(side) for side in zip(*pairs))
            ratio = statistics.median(a / b for a, b in pairs)
            name = f"{shape['cell']}, {shape['num_layers']} x {shape['hidden_size']}, batch {shape['batch_size']} x {shape['bptt']}, {precision}"
            print(f"{name:42}{ours:12,.0f}{theirs:12,.0f}{ratio:8.2f}", flush=True)


def text():
    return "".join(open(os.path.join(TALES, name)).read() for name in sorted(os.listdir(TALES)))


def carousel(corpus, shape, steps, precision):
    """Tokens per second between the first and the last timed step, by metrics.jsonl."""
    with tempfile.TemporaryDirectory() as folder:
        # Half of the steps are followed by an evaluation: the timed ones end just before it.
        options = ["--steps", str(2 * (WARM_UP + steps)), "--dropout", "0", "--precision", precision]
        options += ["--embedding-size", str(shape["hidden_size"])]
        for key, value in shape.items():
            options += [f"--{key.replace('_', '-')}", str(value)]
        model = os.path.join(folder, "model")
        subprocess.run([CAROUSEL, "train", corpus, "-o", model, "--quiet", *options], check=True)
        with open(os.path.join(model, "metrics.jsonl")) as file:
            lines = {line["step"]: line for line in map(json.loads, file) if "learning_rate" in line}
    first, last = lines[WARM_UP], lines[WARM_UP + steps]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def pytorch(corpus, shape, steps):
    import torch

    with open(corpus) as file:
        text = file.read()
    symbols = {symbol: index for index, symbol in enumerate(sorted(set(text)))}
    ids = torch.tensor([symbols[c] for c in text])
    batch, bptt, hidden = shape["batch_size"], shape["bptt"], shape["hidden_size"]
    streams = ids[: len(ids) // batch * batch].view(batch, -1).t().contiguous()
    embedding = torch.nn.Embedding(len(symbols), hidden)
    layers = getattr(torch.nn, MODULES[shape["cell"]])(hidden, hidden, shape["num_layers"])
    output = torch.nn.Linear(hidden, len(symbols))
    parameters = [*embedding.parameters(), *layers.parameters(), *output.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    state, at, began = None, 0, None
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            began = time.perf_counter()
        if at + bptt >= len(streams):
            state, at = None, 0
        inputs, targets = streams[at : at + bptt], streams[at + 1 : at + 1 + bptt]
        at += bptt
        outputs, state = layers(embedding(inputs), state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        loss = torch.nn.functional.cross_entropy(output(outputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        loss.item()
    print(steps * batch * bptt / (time.perf_counter() - began))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] not in MODULES:
        pytorch(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
    else:
        main(sys.argv[1:] or ["lstm"])
