"""Training speed of two processes with a core each, beside one process on one core, in turns.

    python3 benches/distributed.py [TEXT]

A network of 2 x 512 with a batch of 64 x 64, in float32 and with bfloat16 products. TEXT is any long text; without one, the tales
of corpora/. Figures are tokens per second of the later half of each run, the median of three.
"""

import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

from pytorch import CAROUSEL, ROOT, machine

ROUNDS = 3
STEPS = 60


def speed(corpus, processes, precision, cores):
    """Tokens per second of a run."""
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        line = [CAROUSEL, "train", *corpus, "-o", model, "--steps", str(STEPS), "--hidden-size", "512", "--num-layers", "2",
                "--batch-size", "64", "--bptt", "64", "--dropout", "0", "--interpolate=false", "--precision", precision,
                "--processes", str(processes), "--quiet"]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        if processes == 1:
            environment["OMP_NUM_THREADS"] = "1"
        subprocess.run(["taskset", "-c", cores, *line], env=environment, check=True)
        with open(os.path.join(model, "metrics.jsonl")) as file:
            lines = [json.loads(line) for line in file]
    steps = [line for line in lines if "tokens_per_second" in line]
    first, last = steps[len(steps) // 2], steps[-1]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])


def main():
    corpus = sys.argv[1:] or sorted(glob.glob(os.path.join(ROOT, "corpora", "tales", "*.txt")))
    print(machine())
    print("| products | one process, one core | two processes, a core each | ratio |\n|---|---|---|---|")
    for precision in ("f32", "bf16"):
        rounds = [(speed(corpus, 1, precision, "0"), speed(corpus, 2, precision, "0,1")) for _ in range(ROUNDS)]
        one, two = (statistics.median(values) for values in zip(*rounds))
        ratio = statistics.median(two / one for one, two in rounds)
        print(f"| {precision} | {one:,.0f} | {two:,.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
