#!/usr/bin/env python3
"""How fast each cell reads its weights where one text is generated.

    python3 benches/cells.py

A step of one text reads all weights once, so that bytes of weights a second say how well the memory is used, whatever
the number of gates. Two layers; the input products of the first are a table, of which a step reads one row. Run it on a
quiet machine.
"""

import os
import statistics
import tempfile

import generation
from generation import SYMBOLS, generate, model
from pytorch import machine

GATES = {"lstm": 4, "gru": 3, "rnn": 1, "leaky": 1, "skip": 1}
BYTES = {"f32": 4, "bf16": 2, "int8": 1}
ROUNDS = 5


def main():
    print(f"{machine()}; medians of {ROUNDS} runs of each, in turn; one text")
    print(f"{'network':28}{'tokens/s':>12}{'GB/s':>8}{'of LSTM':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for hidden in generation.HIDDEN_SIZES:
            models = {cell: model(folder, hidden, ["--cell", cell]) for cell in GATES}
            for precision in BYTES:
                rates = {cell: [] for cell in GATES}
                for _ in range(ROUNDS):
                    for cell, path in models.items():
                        steps = generation.SINGLE_STEPS[hidden] * 4 // GATES[cell]
                        rates[cell].append(generate(path, precision, steps, 1))
                speeds = {}
                for cell, gates in GATES.items():
                    # Recurrent weights of both layers, of two lags where steps are skipped; the input's of the second; the output's.
                    lags = 2 if cell == "skip" else 1
                    weights = hidden * (gates * hidden * (2 * lags + 1) + len(SYMBOLS))
                    rate = statistics.median(rates[cell])
                    speeds[cell] = rate * weights * BYTES[precision] / 1e9
                    name = f"{cell}, 2 x {hidden}, {precision}"
                    print(f"{name:28}{rate:12,.0f}{speeds[cell]:8.1f}{speeds[cell] / speeds['lstm']:10.2f}", flush=True)


if __name__ == "__main__":
    main()
