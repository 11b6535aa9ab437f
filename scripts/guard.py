#!/usr/bin/env python3
"""Compares two builds of carousel on this machine: outputs, losses, weights, JSON and exit codes.

    scripts/guard.py OLD [NEW]

Each side is a commit, which is built in target/guard/, or a folder that holds the two programs. NEW is the working
tree's target/release unless it is given. Everything has to be equal bit for bit except times and speeds; the new side
also resumes and uses what the old one has written. The exit code is 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "guard"
TALES = ROOT / "corpora" / "tales"
REVIEWS = ROOT / "corpora" / "reviews.csv"
TRIES = ROOT / "corpora" / "tries.csv"
# JSON keys whose values depend on the clock.
TIMES = {"seconds", "tokens_per_second", "examples_per_second"}

SMALL = "--embedding-size 24 --hidden-size 40 --batch-size 8 --bptt 32 --steps 20 --quiet"
DROPS = "--dropout 0.3 --input-dropout 0.2 --embedding-dropout 0.1 --weight-drop 0.2"
LABELS = "--steps 20 --quiet"
TRAINED = {
    "characters": f"train TALES {SMALL} --num-layers 2 {DROPS}",
    "bytes": f"train TALES {SMALL} --level byte --ema 0.9 --schedule constant",
    "words": f"train TALES {SMALL} --level word {DROPS} --schedule plateau",
    "words, some compete": f"train TALES {SMALL} --level word --candidates 300",
    "words, untied, some compete": f"train TALES {SMALL} --level word --candidates 300 --tie-weights=false",
    "words of a treebank": f"train TALES {SMALL} --level word --split whitespace --num-layers 2",
    "subwords": f"train TALES {SMALL} --level bpe --vocab-size 600",
    "both directions": f"train TALES {SMALL} --level word --bidirectional --num-layers 2 {DROPS}",
    "the recipe": "train TALES --steps 6 --quiet",
    "from a model": "train TALES --from reviews --steps 3 --quiet",
    "labels": f"train-classifier REVIEWS {LABELS}",
    "labels, from a model": f"train-classifier REVIEWS --from reviews {LABELS}",
    "labels, adversarial": f"train-classifier REVIEWS --from reviews --adversarial 1 {LABELS}",
    "labels, both directions": f"train-classifier REVIEWS --bidirectional --hidden-size 40 --num-layers 2 {LABELS}",
    "labels, from a classifier": f"train-classifier REVIEWS --from sentiment {LABELS}",
    "labels, of subwords": f"train-classifier REVIEWS --level bpe --hidden-size 40 {LABELS}",
}
# Trained models that are used afterwards, and the command that uses each.
USED = {"characters": "generate", "both directions": "generate", "words": "generate", "labels": "classify"}

PRECISIONS = ["f32", "bf16", "int8"]
ASKED = [
    "generate -m reviews --greedy --length 200 -p 'This film'",
    "generate -m reviews --length 200 --seed 7 -p 'This film' --temperature 0.8 --top-k 40 --top-p 0.9 --min-p 0.02",
    "generate -m reviews --length 100 --seed 3 --samples 5 --json --repeat-penalty 1.2",
    "generate -m reviews --length 60 --seed 3 --threads 1 --stop '.'",
    "classify -m sentiment --input TRIES --json",
    "classify -m sentiment --json --explain 'not bad at all, but the ending was a waste'",
    "score -m reviews --tokens --json 'This film is not what it seems.'",
    "score -m reviews --json 'The old man went home.'",
    "evaluate -m reviews --json TALE",
    "evaluate -m sentiment --json TRIES",
]
CODES = [
    "", "--version", "nonsense", "train", "generate -m nowhere", "generate -m sentiment", "classify -m reviews 'x'",
    "generate -m reviews --top-p 7", "generate -m reviews --temperature 0 --length 3", "evaluate -m reviews nowhere.txt",
    "evaluate -m sentiment TALE", "train nowhere.txt -o out", "train TALES -o out --steps 0", "inspect nowhere",
    "train TALES -o out --level byte --vocab-size 9 --steps 1", "train TALES -o out --dropout 1 --steps 1",
    "train TALES -o out --adversarial 1 --steps 1", "train-classifier REVIEWS -o out --bptt 3 --steps 1",
    "train-classifier TALE -o out --steps 1", "train --resume nowhere", "train TALES -o out --from reviews --level char",
    "train TALES --time 10s --steps 3 -o out", "export -m nowhere -o out", "score -m reviews ''",
    "train TALES -o out --device cuda:7 --steps 1", "train-classifier REVIEWS -o out --device cuda:0 --steps 1",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new", nargs="?", default=str(ROOT / "target" / "release"))
    parser.add_argument("--only", default="", help="compare only what has this in its name")
    arguments = parser.parse_args()
    sides = [Side("old", programs(arguments.old)), Side("new", programs(arguments.new))]
    checks = [check for check in all_checks() if arguments.only in check[0]]
    differing = 0
    for name, check in checks:
        found = [check(side, sides[1 - index]) for index, side in enumerate(sides)]
        same = found[0] == found[1]
        differing += not same
        print(f"{'same   ' if same else 'DIFFERS'}  {name}", flush=True)
        if not same:
            for line in differences(*found):
                print(f"         {line}")
    print(f"{len(checks) - differing} same, {differing} different")
    sys.exit(1 if differing else 0)


def programs(side):
    """Folder of a side's programs; those of a commit are built."""
    if (Path(side) / "carousel").is_file():
        return Path(side).resolve()
    commit = subprocess.check_output(["git", "rev-parse", "--verify", side + "^{commit}"], cwd=ROOT, text=True).strip()
    tree = WORK / commit
    if not tree.exists():
        subprocess.check_call(["git", "clone", "-q", str(ROOT), str(tree)])
        subprocess.check_call(["git", "checkout", "-q", commit], cwd=tree)
    subprocess.check_call(["make", "build"], cwd=tree)
    return tree / "target" / "release"


class Side:
    """One build, and a folder for what it writes."""

    def __init__(self, name, folder):
        self.program = folder / "carousel"
        self.folder = WORK / name
        subprocess.check_call(["rm", "-rf", str(self.folder)])
        self.folder.mkdir(parents=True)
        cache = {"XDG_CACHE_HOME": str(self.folder / "cache"), "CAROUSEL_MODELS": str(ROOT / "checkpoints")}
        self.environment = {**os.environ, **cache}

    def start(self, line, **options):
        return subprocess.Popen([self.program, *words(line)], cwd=self.folder, env=self.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run(self, line):
        process = self.start(line)
        out, error = process.communicate()
        return process.returncode, out, error


def words(line):
    """Arguments of a command line; single quotes keep words together, and names in capitals stand for files."""
    names = {"TALES": TALES, "REVIEWS": REVIEWS, "TRIES": TRIES, "TALE": sorted(TALES.glob("*.txt"))[0]}
    found = []
    for index, part in enumerate(line.split("'")):
        found.extend([part] if index % 2 else part.split())
    return [str(names.get(word, word)) for word in found]


def timeless(value):
    """JSON without the keys that depend on the clock."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def lines_of(text):
    """Lines of JSON without times; other lines without speeds."""
    found = []
    for line in text.decode(errors="replace").splitlines():
        try:
            found.append(timeless(json.loads(line)))
        except ValueError:
            found.append(line)
    return found


def output(line):
    def check(side, _other):
        code, out, error = side.run(line)
        return {"code": code, "out": lines_of(out), "error": "" if code == 0 else error.decode()[-300:]}
    return check


def numbers(line):
    """What is written for people may be worded anew; its numbers stay."""
    def check(side, _other):
        _, out, _ = side.run(line)
        return re.findall(r"[0-9][0-9.,]*", out.decode())
    return check


def code(line):
    def check(side, _other):
        exit_code, out, _ = side.run(line)
        return {"code": exit_code, "printed": len(out) > 0}
    return check


def trained(name, line, precision):
    """Losses, evaluations and weights of a short run."""
    def check(side, _other):
        model = folder_of(name, precision)
        exit_code, _, error = side.run(f"{line} --precision {precision} -o {model}")
        if exit_code:
            return {"code": exit_code, "error": error.decode()[-300:]}
        return state_of(side.folder / model)
    return check


def folder_of(name, precision):
    return f"{name} {precision}".replace(", ", "-").replace(" ", "-")


def state_of(model):
    record = json.loads((model / "training.json").read_text())
    return {
        "metrics": [timeless(json.loads(line)) for line in (model / "metrics.jsonl").read_text().splitlines()],
        "evaluations": timeless(record["evaluations"]),
        "baselines": record.get("baselines"),
        "chosen": len(record["chosen"]),
        "weights": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest(),
        "tokenizer": hashlib.sha256((model / "tokenizer.json").read_bytes()).hexdigest(),
        "files": sorted(path.name for path in model.iterdir()),
    }


def used(name, command):
    """Output of each side with the model that the old side has trained."""
    def check(side, other):
        old = next(s for s in (side, other) if s.folder.name == "old")
        model = old.folder / folder_of(name, "f32")
        line = {"generate": f"generate -m {model} --greedy --length 100", "classify": f"classify -m {model} 'good' 'bad'"}
        exit_code, out, error = side.run(line[command])
        return {"code": exit_code, "out": lines_of(out), "error": error.decode()[-300:] if exit_code else ""}
    return check


def resumed(name, line):
    """Final weights of a run that the old side begins and is interrupted in, and that this side resumes."""
    def check(side, other):
        old = next(s for s in (side, other) if s.folder.name == "old")
        model = side.folder / name
        subprocess.check_call(["rm", "-rf", str(model)])
        process = old.start(f"{line} -o {model}")
        while not (model / "resume.safetensors").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate()
        stopped = process.returncode
        command = line.split()[0]
        exit_code, _, error = side.run(f"{command} --resume {model} --quiet")
        if exit_code:
            return {"stopped": stopped, "code": exit_code, "error": error.decode()[-300:]}
        return {"stopped": stopped, "weights": state_of(model)["weights"]}
    return check


def all_checks():
    checks = [(f"exit code of `{line}`", code(line)) for line in CODES]
    for line in ASKED:
        for precision in PRECISIONS:
            checks.append((f"`{line}` in {precision}", output(f"{line} --precision {precision}")))
    checks += [(f"inspect {model}", numbers(f"inspect {model}")) for model in ("reviews", "sentiment")]
    for name, line in TRAINED.items():
        for precision in ("f32", "bf16"):
            checks.append((f"training: {name}, {precision}", trained(name, line, precision)))
    checks += [(f"using: {name}", used(name, command)) for name, command in USED.items()]
    long = f"{SMALL} --precision f32".replace("--steps 20", "--epochs 3")
    checks.append(("resuming: words", resumed("stopped-words", f"train TALES --level word {long} {DROPS} --num-layers 2 --ema 0.9")))
    checks.append(("resuming: labels", resumed("stopped-labels", "train-classifier REVIEWS --epochs 12 --precision f32 --quiet --hidden-size 40")))
    return checks


def differences(old, new, path=""):
    """The first few places where two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        places = [(f"{path}.{key}", old.get(key), new.get(key)) for key in sorted({*old, *new}, key=str)]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        places = [(f"{path}[{index}]", *pair) for index, pair in enumerate(zip(old, new))]
    else:
        return [] if old == new else [f"{path}: {str(old)[:300]} / {str(new)[:300]}"]
    return [line for place, a, b in places for line in differences(a, b, place)][:6]


if __name__ == "__main__":
    main()
