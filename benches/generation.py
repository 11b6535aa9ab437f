#!/usr/bin/env python3
"""Generation speed of carousel and PyTorch: the same network, in turn, in one run.

    make bench

The network is an embedding, two LSTM layers and an output over a vocabulary of 65. PyTorch runs it in the fastest of
these ways: nn.LSTM with oneDNN off, or two nn.LSTMCell, on one thread or on all. Both sides sample every token from the
softmax at temperature 0.8. Many texts side by side are compared with the bare matrix products of their steps, those of
carousel (benches/kernels.rs) and of libtorch. Run it on a quiet machine.
"""

import json
import os
import random
import re
import statistics
import string
import subprocess
import sys
import tempfile
import time

from pytorch import CAROUSEL, ROOT, machine, venv

ROUNDS = 5
SYMBOLS = (string.ascii_letters + " .,;:!?'-\n()&")[:65]
HIDDEN_SIZES = [128, 512, 1024]
PRECISIONS = ["f32", "bf16", "int8"]
SIDE_BY_SIDE = 64
# About a second of work each.
SINGLE_STEPS = {128: 60_000, 512: 10_000, 1024: 1_500}
BATCH_STEPS = {128: 4_000, 512: 500, 1024: 120}
PRODUCTS = {"f32": "Float32", "bf16": "Bfloat16", "int8": "Int8"}
UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def main():
    python = venv()
    folder = tempfile.TemporaryDirectory()
    models = {hidden: model(folder.name, hidden) for hidden in HIDDEN_SIZES}
    print(f"{machine()}; medians of {ROUNDS} runs of each, in turn")
    print(f"\n{'one text, steps/s':28}{'carousel':>12}{'PyTorch':>12}{'ratio':>8}")
    for hidden in HIDDEN_SIZES:
        rounds = []
        for _ in range(ROUNDS):
            ours = {p: generate(models[hidden], p, SINGLE_STEPS[hidden], 1) for p in PRECISIONS}
            rounds.append((ours, run(python, "steps", hidden)))
        for precision in PRECISIONS:
            row(f"2 x {hidden}, {precision}", [(ours[precision], theirs) for ours, theirs in rounds])
    print(f"\n{f'{SIDE_BY_SIDE} texts at once, tokens/s':28}{'carousel':>12}{'products':>12}{'ratio':>8}  products of")
    for hidden in HIDDEN_SIZES:
        for precision in PRECISIONS:
            pairs, ours, theirs = [], [], []
            for _ in range(ROUNDS):
                rate = generate(models[hidden], precision, BATCH_STEPS[hidden], SIDE_BY_SIDE)
                ours.append(our_products(hidden, precision))
                theirs.append(run(python, "products", hidden, precision))
                pairs.append((rate, max(ours[-1], theirs[-1])))
            who = f"{statistics.median(ours):,.0f} carousel, {statistics.median(theirs):,.0f} libtorch"
            row(f"2 x {hidden}, {precision}", pairs, who)
    parameters = os.path.getsize(os.path.join(models[512], "model.safetensors")) / 4e6
    print(f"\nfrom the command to one character, {parameters:.1f} million parameters, milliseconds (median of 20)")
    for precision in PRECISIONS:
        print(f"{precision:28}{statistics.median(start(models[512], precision) for _ in range(20)):12.1f}")


def row(name, pairs, note=""):
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:28}{ours:12,.0f}{theirs:12,.0f}{ratio:8.2f}  {note}", flush=True)


def model(folder, hidden, flags=()):
    """A checkpoint of the given size, trained for one step: its quality does not matter here."""
    corpus = os.path.join(folder, "corpus.txt")
    random.seed(1)
    with open(corpus, "w") as file:
        file.write(SYMBOLS + "".join(random.choices(SYMBOLS, k=50_000)))
    name = os.path.join(folder, "-".join([str(hidden), *flags]))
    # The network alone: n-grams beside it would be timed with it.
    sizes = ["--num-layers", "2", "--hidden-size", str(hidden), "--embedding-size", str(hidden), "--interpolate=false"]
    command = [CAROUSEL, "train", corpus, "-o", name, "--steps", "1", "--batch-size", "4", "--quiet", *sizes, *flags]
    subprocess.run(command, check=True)
    return name


def generate(model, precision, length, samples):
    """Tokens per second as carousel reports them: steps and sampling, without the start of the program."""
    command = [CAROUSEL, "generate", "-m", model, "--json", "--seed", "1", "--precision", precision]
    command += ["--length", str(length), "--samples", str(samples)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[0])["tokens_per_second"]


def start(model, precision):
    began = time.perf_counter()
    generate(model, precision, 1, 1)
    return 1000 * (time.perf_counter() - began)


def our_products(hidden, precision):
    command = ["cargo", "bench", "--quiet", "--bench", "kernels", "--", f"products_of_{SIDE_BY_SIDE}::{hidden}::{PRODUCTS[precision]}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    line = next(line for line in out.splitlines() if PRODUCTS[precision] in line)
    fastest, slowest, median = re.findall(r"([\d.]+) (ns|µs|ms|s)\b", line)[:3]
    return SIDE_BY_SIDE / (float(median[0]) * UNITS[median[1]])


def run(python, what, *arguments):
    command = [python, os.path.abspath(__file__), what, *map(str, arguments)]
    # PyTorch warns about settings for GPUs that are not there.
    return float(subprocess.check_output(command, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}))


def rate(step, seconds):
    """Calls of `step` per second."""
    for _ in range(5):
        step()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(5):
            step()
        count += 5
    return count / (time.perf_counter() - began)


def pytorch_steps(hidden):
    import torch

    symbols = len(SYMBOLS)
    embedding, output = torch.nn.Embedding(symbols, hidden), torch.nn.Linear(hidden, symbols)
    lstm = torch.nn.LSTM(hidden, hidden, 2)
    cells = [torch.nn.LSTMCell(hidden, hidden) for _ in range(2)]
    token = torch.zeros(1, dtype=torch.long)
    zeros = torch.zeros(2, 1, hidden)

    def draw(top):
        nonlocal token
        token = torch.multinomial(torch.softmax(output(top) / 0.8, -1), 1)[:, 0]

    state = (zeros, zeros)

    def with_module():
        nonlocal state
        top, state = lstm(embedding(token)[None], state)
        draw(top[0])

    states = [(zeros[0], zeros[0])] * 2

    def with_cells():
        top = embedding(token)
        for layer, cell in enumerate(cells):
            states[layer] = cell(top, states[layer])
            top = states[layer][0]
        draw(top)

    rates = []
    with torch.inference_mode(), torch.backends.mkldnn.flags(enabled=False):
        for threads in {1, torch.get_num_threads()}:
            torch.set_num_threads(threads)
            rates += [rate(with_module, 0.5), rate(with_cells, 0.5)]
    print(max(rates))


def pytorch_products(hidden, precision):
    import torch

    sizes = [4 * hidden] * 3 + [len(SYMBOLS)]
    if precision == "int8":
        numbers = lambda *shape: torch.randint(-127, 128, shape, dtype=torch.int8)
        product = torch._int_mm
    else:
        kind = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
        numbers = lambda *shape: torch.randn(*shape).to(kind)
        product = torch.mm
    x = numbers(SIDE_BY_SIDE, hidden)
    weights = [numbers(hidden, size) for size in sizes]
    print(SIDE_BY_SIDE * rate(lambda: [product(x, w) for w in weights], 0.5))


if __name__ == "__main__":
    if sys.argv[1:2] == ["steps"]:
        pytorch_steps(int(sys.argv[2]))
    elif sys.argv[1:2] == ["products"]:
        pytorch_products(int(sys.argv[2]), sys.argv[3])
    else:
        main()
