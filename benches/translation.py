#!/usr/bin/env python3
"""Training speed of carousel and PyTorch: the same translator on the same made-up pairs, in turn, in one run.

    python3 benches/translation.py
    python3 benches/translation.py gru lstm

PyTorch has a virtual environment of its own (.venv), made on demand. The network is that of `train-translator`: one
embedding for both sides, which is the output's weights too, a bidirectional encoder, dot attention, a decoder and a readout,
with dropout and label smoothing, trained by AdamW with clipping on batches of pairs of about one length. PyTorch is in
float32, eagerly, by nn.GRU or nn.LSTM; carousel in float32 and with bfloat16 products. Run it on a quiet machine.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from pytorch import CAROUSEL, machine, venv

ROUNDS = 3
# Steps before the timed ones.
WARM_UP = 10
STEPS = 40
PRECISIONS = ["f32", "bf16"]
PAIRS = 8000
WORDS = 7500
BATCH, EMBEDDING, HIDDEN = 64, 256, 512
DROPOUT, SMOOTHING = 0.3, 0.1


def main(cells):
    python = venv()
    print(f"{machine()}; medians of {ROUNDS} runs of each, in turn; target tokens a second")
    print(f"{'translator':42}{'carousel':>12}{'PyTorch':>12}{'ratio':>8}")
    folder = tempfile.TemporaryDirectory()
    files = [os.path.join(folder.name, side) for side in ("source", "target")]
    for path, lines in zip(files, made_up()):
        with open(path, "w") as file:
            file.writelines(line + "\n" for line in lines)
    for cell in cells:
        rounds = []
        for _ in range(ROUNDS):
            ours = {precision: carousel(files, cell, precision) for precision in PRECISIONS}
            command = [python, __file__, *files, cell]
            rounds.append((ours, float(subprocess.check_output(command, text=True))))
        for precision in PRECISIONS:
            pairs = [(ours[precision], theirs) for ours, theirs in rounds]
            ours, theirs = (statistics.median(side) for side in zip(*pairs))
            ratio = statistics.median(a / b for a, b in pairs)
            name = f"{cell}, {HIDDEN}, embedding {EMBEDDING}, batch {BATCH}, {precision}"
            print(f"{name:42}{ours:12,.0f}{theirs:12,.0f}{ratio:8.2f}", flush=True)


def made_up():
    """Sources and targets of made-up words, some frequent and most rare, of lengths as image captions have them."""
    drawn = random.Random(1)
    weights = [1 / (rank + 3) for rank in range(WORDS)]
    length = lambda: max(3, round(drawn.gauss(14, 4)))
    lengths = [length() for _ in range(PAIRS)]
    side = lambda n: " ".join(f"w{word}" for word in drawn.choices(range(WORDS), weights, k=n))
    sources = [side(n) for n in lengths]
    targets = [side(max(3, n + drawn.randint(-2, 3))) for n in lengths]
    # Every word is learnt.
    sources[0] = " ".join(f"w{word}" for word in range(200))
    return sources, targets


def carousel(files, cell, precision):
    """Target tokens per second between the first and the last timed step, by metrics.jsonl."""
    with tempfile.TemporaryDirectory() as folder:
        # A twentieth of the steps is followed by an evaluation: the timed ones end before it.
        options = ["--steps", str(21 * (WARM_UP + STEPS)), "--precision", precision, "--cell", cell]
        options += ["--level", "word", "--split", "whitespace", "--batch-size", str(BATCH)]
        options += ["--embedding-size", str(EMBEDDING), "--hidden-size", str(HIDDEN)]
        options += ["--dropout", str(DROPOUT), "--input-dropout", str(DROPOUT), "--ema", "0"]
        model = os.path.join(folder, "model")
        command = [CAROUSEL, "train-translator", "--source", files[0], "--target", files[1], "-o", model, "--quiet"]
        process = subprocess.Popen([*command, *options])
        metrics, lines = os.path.join(model, "metrics.jsonl"), {}
        while WARM_UP + STEPS not in lines:
            time.sleep(0.2)
            if process.poll() is not None:
                sys.exit("carousel ended before the last timed step")
            if os.path.exists(metrics):
                with open(metrics) as file:
                    whole = [line for line in file if line.endswith("\n")]
                lines = {line["step"]: line for line in map(json.loads, whole) if "learning_rate" in line}
        process.kill()
        process.wait()
    first, last = lines[WARM_UP], lines[WARM_UP + STEPS]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def pytorch(source, target, cell):
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

    torch.manual_seed(1)
    ids = {}
    read = lambda path: [[ids.setdefault(w, len(ids) + 1) for w in line.split()] + [0] for line in open(path)]
    pairs = sorted(zip(read(source), read(target)), key=lambda pair: len(pair[0]) + len(pair[1]))
    batches = [pairs[at : at + BATCH] for at in range(0, len(pairs) - BATCH, BATCH)]
    random.Random(1).shuffle(batches)
    has_cell = cell == "lstm"
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(len(ids) + 1, EMBEDDING)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.encoder = kind(EMBEDDING, HIDDEN // 2, bidirectional=True)
            self.decoder = kind(EMBEDDING, HIDDEN)
            self.bridge = nn.Linear(HIDDEN, HIDDEN * (2 if has_cell else 1))
            self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
            self.readout = nn.Linear(2 * HIDDEN, EMBEDDING)
            self.bias = nn.Parameter(torch.zeros(len(ids) + 1))
            self.drop = nn.Dropout(DROPOUT)

        def forward(self, sources, lengths, inputs):
            packed = pack_padded_sequence(self.drop(self.embedding(sources)), lengths, enforce_sorted=False)
            memory, last = self.encoder(packed)
            memory = self.drop(pad_packed_sequence(memory)[0])
            last = (last[0] if has_cell else last).transpose(0, 1).flatten(1)
            begin = [part.contiguous() for part in torch.tanh(self.bridge(last)).unsqueeze(0).chunk(2 if has_cell else 1, -1)]
            outputs, _ = self.decoder(self.drop(self.embedding(inputs)), tuple(begin) if has_cell else begin[0])
            outputs = self.drop(outputs)
            scores = self.query(outputs).transpose(0, 1) @ memory.permute(1, 2, 0)
            padding = torch.arange(memory.shape[0]) >= lengths.unsqueeze(1)
            weights = scores.masked_fill(padding.unsqueeze(1), float("-inf")).softmax(-1)
            context = (weights @ memory.transpose(0, 1)).transpose(0, 1)
            read = self.drop(torch.tanh(self.readout(torch.cat([outputs, context], -1))))
            return nn.functional.linear(read, self.embedding.weight, self.bias)

    model = Translator()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens, began = 0, None
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            tokens, began = 0, time.perf_counter()
        batch = batches[step % len(batches)]
        sources = pad_sequence([torch.tensor(source) for source, _ in batch])
        targets = pad_sequence([torch.tensor(target) for _, target in batch], padding_value=-100)
        inputs = pad_sequence([torch.tensor([0] + target[:-1]) for _, target in batch])
        lengths = torch.tensor([len(source) for source, _ in batch])
        logits = model(sources, lengths, inputs)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        tokens += sum(len(target) for _, target in batch)
    print(tokens / (time.perf_counter() - began))


if __name__ == "__main__":
    if len(sys.argv) == 4 and os.path.exists(sys.argv[1]):
        pytorch(*sys.argv[1:])
    else:
        main(sys.argv[1:] or ["gru"])
