#!/usr/bin/env python3
"""A task of memory: a letter, digits that mean nothing, and the letter again.

    python3 corpora/recall.py 8 > recall-8.txt        20,000 lines such as k48203917=k, with 8 digits between
    python3 corpora/recall.py 8 --check MODEL         how often the model knows the letter that comes after =

The digits cannot be predicted, and the letter can only by who has remembered it. The lines that are checked are others
than those that are written.
"""

import argparse
import json
import math
import random
import shutil
import string
import subprocess
import sys


def line(numbers, distance):
    letter = numbers.choice(string.ascii_lowercase)
    return letter + "".join(numbers.choices(string.digits, k=distance)) + "=" + letter


def check(model, lines, program):
    """Shares of the lines whose letter is the most probable one, and the mean probability of the right letter."""
    command = [program, "score", "-m", model, "--tokens", "--json", *lines]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    probabilities = []
    for row in map(json.loads, out.splitlines()):
        answer = next(i for i, score in enumerate(row["token_scores"]) if score["token"] == "=") + 1
        probabilities.append(math.exp(row["token_scores"][answer]["log_probability"]))
    # A letter that is more probable than all others together is the most probable one.
    known = sum(p > 0.5 for p in probabilities) / len(probabilities)
    return known, sum(probabilities) / len(probabilities)


def main():
    parser = argparse.ArgumentParser(description="A task of memory over a distance.")
    parser.add_argument("distance", type=int, help="digits between the letter and its repetition")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--check", metavar="MODEL", help="measure a model on 500 other lines")
    parser.add_argument("--program", default=shutil.which("carousel") or "target/release/carousel")
    flags = parser.parse_args()
    if flags.distance < 1 or flags.lines < 1:
        parser.error("give a distance and a number of lines of 1 or more")
    if flags.check:
        numbers = random.Random(2)
        lines = [line(numbers, flags.distance) for _ in range(500)]
        known, probability = check(flags.check, lines, flags.program)
        print(f"letter known {known:.1%}, probability of the right letter {probability:.3f} (chance: {1 / 26:.3f})")
    else:
        numbers = random.Random(1)
        sys.stdout.writelines(line(numbers, flags.distance) + "\n" for _ in range(flags.lines))


if __name__ == "__main__":
    main()
