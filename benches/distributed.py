"""Training speed of two processes with a core each, beside one process on one core, in turns.

    python3 benches/distributed.py [--links] [TEXT]

A network of 2 x 512 with a batch of 64 x 64, in float32 and with bfloat16 products. TEXT is any long text; without one, the tales
of corpora/. Figures are tokens per second of the later half of each run, the median of three. With --links, as root on Linux, the
two stand in network namespaces of their own, with links of 10 and 1 Gbit/s between them (veth and tbf), and send float32, bfloat16,
or only every 20 steps; one round, in float32 products.
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import tempfile

from pytorch import CAROUSEL, ROOT, machine

ROUNDS = 3
STEPS = 40
SPACES = ("carousel0", "carousel1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
PORT = 29511


def line(corpus, model, precision, *more):
    """A command that trains."""
    return [CAROUSEL, "train", *corpus, "-o", model, "--steps", str(STEPS), "--hidden-size", "512", "--num-layers", "2",
            "--batch-size", "64", "--bptt", "64", "--dropout", "0", "--interpolate=false", "--precision", precision, "--quiet",
            *more]


def environment(**more):
    """The environment, with as many threads as carousel chooses."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return {**own, **more}


def measured(model):
    """Tokens per second of the later half of a run, and the bytes that a step sent."""
    with open(os.path.join(model, "metrics.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    steps = [line for line in lines if "tokens_per_second" in line]
    first, last = steps[(len(steps) - 1) // 2], steps[-1]
    sent = last.get("bytes_sent", 0) / last["step"]
    return (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"]), sent


def speed(corpus, processes, precision, cores):
    """Tokens per second of a run on one machine."""
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        command = line(corpus, model, precision, "--processes", str(processes))
        threads = {"OMP_NUM_THREADS": "1"} if processes == 1 else {}
        subprocess.run(["taskset", "-c", cores, *command], env=environment(**threads), check=True)
        return measured(model)[0]


def ip(*words):
    subprocess.run(words, check=True)


class Link:
    """Two network namespaces with a link of a rate between them."""

    def __init__(self, rate):
        self.rate = rate

    def __enter__(self):
        for space in SPACES:
            ip("ip", "netns", "add", space)
        ip("ip", "link", "add", "carousel-a", "netns", SPACES[0], "type", "veth", "peer", "name", "carousel-b", "netns", SPACES[1])
        for space, device, address in zip(SPACES, ("carousel-a", "carousel-b"), ADDRESSES):
            within = ("ip", "netns", "exec", space)
            ip(*within, "ip", "address", "add", f"{address}/24", "dev", device)
            ip(*within, "ip", "link", "set", device, "up")
            ip(*within, "ip", "link", "set", "lo", "up")
            ip(*within, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", self.rate, "burst", "1mb", "latency", "50ms")

    def __exit__(self, *_):
        for space in SPACES:
            ip("ip", "netns", "del", space)


def linked(corpus, rate, *more):
    """Tokens per second of two processes at the ends of a link, and the bytes that a step sent."""
    with tempfile.TemporaryDirectory() as folder, Link(rate):
        started = []
        for rank, space in enumerate(SPACES):
            world = environment(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR=ADDRESSES[0], MASTER_PORT=str(PORT), OMP_NUM_THREADS="1")
            command = line(corpus, os.path.join(folder, "model"), "f32", *more)
            within = ["ip", "netns", "exec", space, "taskset", "-c", str(rank)]
            started.append(subprocess.Popen([*within, *command], env=world))
        if any([process.wait() for process in started]):
            raise SystemExit(f"a process failed with a link of {rate}")
        return measured(os.path.join(folder, "model"))


def links(corpus):
    """Prints the speeds over links."""
    one = speed(corpus, 1, "f32", "0")
    print(f"one process on one core: {one:,.0f} tokens/s\n")
    print("| link | sent | two processes | ratio | bytes a step |\n|---|---|---|---|---|")
    ways = {"float32": (), "bfloat16": ("--gradient-precision", "bf16"), "every 20 steps": ("--sync-every", "20")}
    for rate in ("10gbit", "1gbit"):
        for name, options in ways.items():
            two, sent = linked(corpus, rate, *options)
            print(f"| {rate} | {name} | {two:,.0f} | {two / one:.2f} | {sent:,.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--links", action="store_true")
    parser.add_argument("text", nargs="*")
    arguments = parser.parse_args()
    corpus = arguments.text or sorted(glob.glob(os.path.join(ROOT, "corpora", "tales", "*.txt")))
    print(machine())
    if arguments.links:
        return links(corpus)
    print("| products | one process, one core | two processes, a core each | ratio |\n|---|---|---|---|")
    for precision in ("f32", "bf16"):
        rounds = [(speed(corpus, 1, precision, "0"), speed(corpus, 2, precision, "0,1")) for _ in range(ROUNDS)]
        one, two = (statistics.median(values) for values in zip(*rounds))
        ratio = statistics.median(two / one for one, two in rounds)
        print(f"| {precision} | {one:,.0f} | {two:,.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
