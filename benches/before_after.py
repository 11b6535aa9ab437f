#!/usr/bin/env python3
"""Speed of two builds of carousel, in turn, in one run: generating, training, classifying.

    python3 benches/before_after.py OLD [NEW]    folders that hold the two programs; NEW is target/release

Each round runs both, in an order that alternates. A row has the medians of both sides, and of the ratios new / old of
each round with their range. Run it on a quiet machine.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

import generation
import training
from pytorch import ROOT, machine

ROUNDS = 10
# Hidden size, precision, tokens, texts at once.
GENERATED = [
    (128, "f32", 60_000, 1), (128, "int8", 90_000, 1), (512, "f32", 10_000, 1), (512, "bf16", 15_000, 1),
    (512, "int8", 25_000, 1), (512, "f32", 500, 64), (512, "int8", 1_200, 64),
]
PRECISIONS = ["f32", "bf16", "int8"]
# Copies of the tales, so that no pass ends within a run.
REPEATED = 4
# Training steps of each shape, besides those by which a run measures its speed.
STEPS = [12, 60]


def main():
    old = os.path.abspath(sys.argv[1])
    new = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.join(ROOT, "target", "release")
    sides = [os.path.join(side, "carousel") for side in (old, new)]
    folder = tempfile.TemporaryDirectory()
    print(f"{machine()}; {ROUNDS} rounds, old and new in turn")
    print(f"{'':44}{'old':>11}{'new':>11}{'ratio':>8}  range")
    use(sides[0])
    models = {hidden: generation.model(folder.name, hidden) for hidden in {row[0] for row in GENERATED}}
    for hidden, precision, length, samples in GENERATED:
        texts = "one text" if samples == 1 else f"{samples} texts"
        measure = lambda: generation.generate(models[hidden], precision, length, samples)
        compare(f"generating, 2 x {hidden}, {texts}, {precision}", sides, measure)
    corpus = os.path.join(folder.name, "tales.txt")
    with open(corpus, "w") as file:
        file.write(training.text() * REPEATED)
    for (shape, _), steps in zip(training.SHAPES, STEPS):
        for precision in training.PRECISIONS:
            name = f"training, {shape['num_layers']} x {shape['hidden_size']}, {precision}"
            compare(name, sides, lambda: train(corpus, folder.name, shape, steps, precision))
    documents = labelled(folder.name)
    for precision in PRECISIONS:
        compare(f"classifying long texts, {precision}", sides, lambda: classify(documents, precision))
    compare("training a classifier", sides, lambda: train_classifier(folder.name))


def use(program):
    """Makes what is measured run this program."""
    generation.CAROUSEL = program


def compare(name, sides, measure):
    rounds = []
    for number in range(ROUNDS):
        found = {}
        for side in sides if number % 2 == 0 else sides[::-1]:
            use(side)
            found[side] = measure()
        rounds.append([found[side] for side in sides])
    old, new = (statistics.median(side) for side in zip(*rounds))
    ratios = sorted(new / old for old, new in rounds)
    spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
    print(f"{name:44}{old:11,.0f}{new:11,.0f}{statistics.median(ratios):8.3f}  {spread}", flush=True)


def train(corpus, folder, shape, steps, precision):
    """Tokens per second of late, as the last line of metrics.jsonl has it."""
    model = os.path.join(folder, "model")
    options = ["--steps", str(steps), "--dropout", "0", "--precision", precision]
    options += ["--embedding-size", str(shape["hidden_size"])]
    for key, value in shape.items():
        options += [f"--{key.replace('_', '-')}", str(value)]
    command = [generation.CAROUSEL, "train", corpus, "-o", model, "--quiet", "--overwrite", *options]
    subprocess.run(command, check=True)
    return speeds(model)[-1]


def speeds(model):
    with open(os.path.join(model, "metrics.jsonl")) as file:
        return [line["tokens_per_second"] for line in map(json.loads, file) if "learning_rate" in line]


def labelled(folder):
    """A file of 240 documents of about 230 words each."""
    words = training.text().split()
    path = os.path.join(folder, "documents.csv")
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        for index in range(240):
            begin = index * 61 % (len(words) - 300)
            writer.writerow(["positive", " ".join(words[begin : begin + 160 + index * 7 % 140])])
    return path


def classify(documents, precision):
    """Documents per second as `evaluate` reports them."""
    command = [generation.CAROUSEL, "evaluate", "-m", os.path.join(ROOT, "checkpoints", "sentiment"), documents]
    out = subprocess.run([*command, "--json", "--precision", precision], check=True, capture_output=True, text=True).stdout
    return json.loads(out)["examples_per_second"]


def train_classifier(folder):
    """Tokens per second of a classifier's steps, by metrics.jsonl."""
    model = os.path.join(folder, "classifier")
    command = [generation.CAROUSEL, "train-classifier", os.path.join(ROOT, "corpora", "reviews.csv"), "-o", model]
    command += ["--from", os.path.join(ROOT, "checkpoints", "reviews"), "--steps", "60", "--precision", "f32"]
    subprocess.run([*command, "--quiet", "--overwrite"], check=True)
    return statistics.median(speeds(model)[1:])


if __name__ == "__main__":
    main()
