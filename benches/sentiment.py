"""Reviews per second of `carousel classify` and of a DistilBERT with random weights in PyTorch, in one run.

    python3 benches/sentiment.py

The reviews are random words, in the lengths of IMDB's reviews (about 230 words); their content does not matter for the
speed. Tokenisation is included on both sides: carousel's own; for DistilBERT a lookup of words in a table, which is
faster than its tokenizer and so in its favour. DistilBERT reads 512 tokens at most, in batches of texts of similar
length.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generation import our_products
from pytorch import CAROUSEL, machine, venv

REVIEWS = 2000
FEW = 96
RUNS = 3


def words(count, seed):
    """Random words; `reviews` gives the first ones more weight."""
    rng = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    made = {"".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(count)}
    return sorted(made)


def reviews(count, seed):
    """Random reviews with the lengths of IMDB's: lognormal, with a median of 174 words."""
    rng = random.Random(seed)
    vocabulary = words(20000, 1)
    weights = [1 / (rank + 3) for rank in range(len(vocabulary))]
    for _ in range(count):
        length = max(10, min(1500, int(rng.lognormvariate(5.16, 0.65))))
        yield " ".join(rng.choices(vocabulary, weights, k=length)) + "."


def carousel(model, file, precision):
    """Reviews per second of carousel, including the start of the program."""
    began = time.perf_counter()
    command = [CAROUSEL, "classify", "-m", model, "--input", file, "--precision", precision]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return REVIEWS / (time.perf_counter() - began)


def distilbert(texts):
    """Reviews per second of six layers of width 768 with twelve heads, as in DistilBERT."""
    import torch

    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(
        768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True
    )
    encoder = torch.nn.TransformerEncoder(layer, 6).eval()
    embedding = torch.nn.Embedding(30522, 768)
    places = torch.nn.Embedding(512, 768)
    head = torch.nn.Linear(768, 2)
    table = {}
    began = time.perf_counter()
    ids = [[table.setdefault(w, len(table) % 30522) for w in t.split()][:512] for t in texts]
    ids.sort(key=len)
    with torch.no_grad():
        for first in range(0, len(ids), 8):
            batch = ids[first : first + 8]
            longest = max(map(len, batch))
            tokens = torch.zeros(len(batch), longest, dtype=torch.long)
            absent = torch.ones(len(batch), longest, dtype=torch.bool)
            for row, text in enumerate(batch):
                tokens[row, : len(text)] = torch.tensor(text)
                absent[row, : len(text)] = False
            x = embedding(tokens) + places(torch.arange(longest))
            head(encoder(x, src_key_padding_mask=absent)[:, 0])
    return len(texts) / (time.perf_counter() - began)


def share_of_products(speed, precision):
    """Fraction of carousel's time that its matrix products take at the rate of the bare products."""
    tokens = sum(len(text.split()) + 2 for text in reviews(REVIEWS, 2))
    own, bare = 4 * 512 * (256 + 512), 3 * 4 * 512 * 512 + 65 * 512
    seconds = tokens * own / bare / our_products(512, precision)
    return seconds * speed / REVIEWS


def main():
    """Runs both sides in turn, and prints medians and ratios."""
    python = venv()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        rows = [json.dumps({"text": text}) for text in reviews(REVIEWS, 2)]
        (folder / "reviews.jsonl").write_text("\n".join(rows) + "\n")
        labelled = [
            json.dumps({"label": "ab"[i % 2], "text": text})
            for i, text in enumerate(reviews(400, 3))
        ]
        (folder / "labelled.jsonl").write_text("\n".join(labelled) + "\n")
        model = folder / "model"
        command = [CAROUSEL, "train-classifier", folder / "labelled.jsonl", "-o", model]
        command += ["--hidden-size", "512", "--embedding-size", "256", "--steps", "2", "-q"]
        subprocess.run(command, check=True)
        found = {"f32": [], "bf16": [], "int8": [], "DistilBERT": []}
        for _ in range(RUNS):
            for precision in ["f32", "bf16", "int8"]:
                found[precision].append(carousel(model, folder / "reviews.jsonl", precision))
            # PyTorch warns about a prototype feature that it chooses by itself.
            quietly = [python, "-W", "ignore", __file__, "distilbert"]
            theirs = subprocess.check_output(quietly, text=True)
            found["DistilBERT"].append(float(theirs))
        print(f"{machine()}; reviews a second, medians of {RUNS} runs of each, in turn")
        print("carousel: 1 x 512, embedding 256; DistilBERT: 6 x 768, float32")
        theirs = statistics.median(found["DistilBERT"])
        for name, speeds in found.items():
            speed = statistics.median(speeds)
            share = ""
            if name != "DistilBERT":
                share = f"   {100 * share_of_products(speed, name):.0f} % of its time in matrix products"
            print(f"{name:>12} {speed:10.1f} {speed / theirs:8.1f} times{share}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(distilbert(list(reviews(FEW, 2))))
    else:
        main()
