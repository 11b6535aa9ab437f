"""Checks training on a GPU, in about ten minutes: nobody of the project has had one.

    make libtorch CUDA=1 && make build && python3 scripts/gpu.py [--device cuda:0]

For a language model (LSTM, GRU, transformer), a classifier and a translator it trains 40 steps on the CPU and on the GPU from the same
seed, without dropout and by the same automatic differentiation, and compares the losses; interrupts a run on the GPU and resumes it;
has the model of the GPU write without it; and compares the speeds. It prints a line for each check, and ends with code 1 if one
fails. `--device cpu` tries the script itself.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
CORPORA = os.path.join(ROOT, "corpora")
TALES = os.path.join(CORPORA, "tales")
# Sums in another order differ in the last bits, and a little more after each step.
TOLERANCE = 2e-3
SMALL = "--dropout 0 --input-dropout 0 --precision f32 --gradients autograd --hidden-size 64 --embedding-size 64 --quiet".split()
KINDS = {
    "LSTM": ["train", TALES, "--cell", "lstm", "--interpolate=false"],
    "GRU": ["train", TALES, "--cell", "gru", "--interpolate=false"],
    "transformer": ["train", TALES, "--cell", "transformer", "--interpolate=false"],
    "classifier": ["train-classifier", os.path.join(CORPORA, "reviews.csv"), "--embedding-dropout", "0", "--weight-drop", "0"],
    "translator": ["train-translator", os.path.join(CORPORA, "pairs.tsv")],
}


def carousel(*words):
    """Runs a command, which has to succeed."""
    done = subprocess.run([CAROUSEL, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"carousel {' '.join(words)}\n{done.stderr}")
    return done.stdout


def losses(model):
    """Losses of the lines of metrics.jsonl, of steps and of validation."""
    with open(os.path.join(model, "metrics.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    return [line[key] for line in lines for key in ("loss", "valid_loss") if key in line]


def same_losses(folder, name, device):
    """The largest difference between the losses on the CPU and on the device."""
    models = [os.path.join(folder, f"{name}-{place}") for place in ("cpu", "device")]
    for model, place in zip(models, ("cpu", device)):
        carousel(*KINDS[name], *SMALL, "--steps", "40", "--seed", "1", "--device", place, "-o", model)
    cpu, gpu = map(losses, models)
    assert len(cpu) == len(gpu), f"{len(cpu)} losses on the CPU, {len(gpu)} on {device}"
    worst = max(abs(one - other) for one, other in zip(cpu, gpu))
    assert worst < TOLERANCE, f"losses differ by {worst:.1e}"
    return f"losses differ by {worst:.1e} at most"


def resumes(folder, device):
    """Interrupts a run, resumes it, and has its model write on the CPU."""
    model = os.path.join(folder, "resumed")
    command = [CAROUSEL, *KINDS["LSTM"], *SMALL, "--steps", "3000", "--device", device, "-o", model]
    run = subprocess.Popen(command, stderr=subprocess.PIPE)
    while not os.path.exists(os.path.join(model, "resume.safetensors")) and run.poll() is None:
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    code = run.wait(timeout=120)
    assert code == 130, f"an interrupted run ended with code {code}"
    carousel("train", "--resume", model, "--quiet")
    assert len(carousel("generate", "-m", model, "--length", "200", "--seed", "1")) > 100
    return f"went on to a validation loss of {losses(model)[-1]:.4f}; its model writes without a GPU"


def speeds(folder, device):
    """Tokens per second of a larger network on both."""
    found = []
    for number, place in enumerate(("cpu", device)):
        model = os.path.join(folder, f"speed-{number}")
        options = "--hidden-size 512 --num-layers 2 --batch-size 64 --bptt 64 --time 60s --quiet --interpolate=false".split()
        carousel("train", TALES, *options, "--device", place, "-o", model)
        with open(os.path.join(model, "metrics.jsonl")) as file:
            found.append(max(json.loads(line).get("tokens_per_second", 0) for line in file))
    return f"2 x 512, 64 x 64: {found[0]:,.0f} tokens/s on the CPU, {found[1]:,.0f} on {device}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    device = parser.parse_args().device
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        checks = {name: lambda name=name: same_losses(folder, name, device) for name in KINDS}
        checks["resuming"] = lambda: resumes(folder, device)
        checks["speed"] = lambda: speeds(folder, device)
        for name, check in checks.items():
            try:
                print(f"ok      {name}: {check()}", flush=True)
            except (AssertionError, RuntimeError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAILED  {name}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
