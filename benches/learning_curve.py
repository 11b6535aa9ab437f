"""Accuracy with few labels: `carousel train-classifier --from reviews` and a linear SVM, on the same sentences.

    python3 benches/learning_curve.py LABELLED TEST [TIME]
    python3 benches/learning_curve.py svm LABELLED TEST      the SVM alone, trained on all of LABELLED

LABELLED and TEST are CSV files with the columns label and text. 50, 200 and 800 rows of LABELLED are drawn, as many of
each label, five times; both sides are trained on these alone and evaluated on all of TEST. The SVM is scikit-learn's
LinearSVC with its defaults, on words and pairs of words with TF-IDF weights. The second form needs scikit-learn.
"""

import csv
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pytorch import CAROUSEL, venv

COUNTS = [50, 200, 800]
DRAWS = 5


def rows(path):
    """Labels and texts of a CSV file."""
    with open(path, newline="") as file:
        return [(row["label"], row["text"]) for row in csv.DictReader(file)]


def draw(documents, count, seed):
    """A random sample of `count` documents, with equally many of each label."""
    rng = random.Random(seed)
    labels = sorted({label for label, _ in documents})
    drawn = []
    for label in labels:
        drawn += rng.sample([d for d in documents if d[0] == label], count // len(labels))
    rng.shuffle(drawn)
    return drawn


def write(path, documents):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "text"])
        writer.writerows(documents)


def carousel(train, test, folder, time):
    """Accuracy of a classifier that starts from the language model that ships."""
    model = folder / "model"
    command = [CAROUSEL, "train-classifier", train, "-o", model, "--from", "reviews"]
    subprocess.run([*command, "--time", time, "--overwrite", "-q"], check=True)
    command = [CAROUSEL, "evaluate", "-m", model, test, "--json"]
    return json.loads(subprocess.check_output(command))["accuracy"]


def svm(train, test):
    """Accuracy of the SVM."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    labels, texts = zip(*train)
    machine = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC()).fit(texts, labels)
    labels, texts = zip(*test)
    return machine.score(texts, labels)


def main(labelled, test, time="60s"):
    python = venv()
    has_sklearn = subprocess.run([python, "-c", "import sklearn"], capture_output=True)
    if has_sklearn.returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "scikit-learn"], check=True)
    documents = rows(labelled)
    print(f"accuracy on {len(rows(test)):,} sentences, mean of {DRAWS} draws; {time} each")
    print(f"{'labelled':>10}{'carousel':>10}{'SVM':>10}{'points':>10}")
    for count in COUNTS:
        found = []
        for seed in range(DRAWS):
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                write(folder / "test.csv", rows(test))
                write(folder / "train.csv", draw(documents, count, seed))
                ours = carousel(folder / "train.csv", folder / "test.csv", folder, time)
                command = [python, __file__, "svm", folder / "train.csv", folder / "test.csv"]
                found.append((ours, float(subprocess.check_output(command))))
        ours, theirs = (100 * statistics.mean(side) for side in zip(*found))
        print(f"{count:>10}{ours:>10.2f}{theirs:>10.2f}{ours - theirs:>10.2f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "svm":
        print(svm(rows(sys.argv[2]), rows(sys.argv[3])))
    else:
        main(*sys.argv[1:])
