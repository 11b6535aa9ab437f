"""Accuracy of `sentiment` in each domain, beside VADER, TextBlob and a linear SVM, on documents that none of them learnt from.

    python3 benches/sentiment_quality.py DATA [MODEL]

DATA is a folder with imdb/train.csv, sst2/{train,valid}.csv, tweets/{train,valid}.csv and products/amazon.csv, MODEL a folder or
a name (default sentiment). Of imdb/train.csv, those documents are tested on that MODEL holds out: a tenth, recognised by
the hashes in its file. The SVM (scikit-learn; TF-IDF of words and pairs of words) learns from what MODEL learnt from, without
what is tested on, and weighs labels alike. VADER and TextBlob are lists of rated words with rules; they learn nothing.

"sign" is the accuracy among positive and negative documents, chosen among these two labels; "recall" the mean recall of three
labels, of which VADER is neutral from -0.05 to 0.05, as its authors advise, and TextBlob at 0. Packages are installed in
.venv on demand.
"""

import csv
import json
import os
import subprocess
import sys

from pytorch import CAROUSEL, ROOT, machine, venv

LABELS = ["negative", "neutral", "positive"]
PACKAGES = ("scikit-learn", "vaderSentiment", "textblob", "safetensors", "blake3", "numpy")
MODULES = "sklearn, vaderSentiment, textblob, safetensors, blake3"
# The files that a model of what people write in English learns from.
LEARNT = ["tweets/train.csv", "imdb/train.csv", "sst2/train.csv"]
OWN = ["reviews.csv", "verdicts.csv", "everyday.csv"]


def read(path):
    """Rows of a file."""
    csv.field_size_limit(10**9)
    with open(path, newline="", encoding="utf-8") as file:
        return [{**row, "text": row["text"].replace("<br />", "\n")} for row in csv.DictReader(file)]


def learnt_hashes(model):
    """Hashes of the documents that a model learnt from."""
    from safetensors.numpy import load_file

    tensors = load_file(os.path.join(model, "model.safetensors"))
    if "documents.hashes" not in tensors:
        sys.exit(f"{model} does not say what it learnt from: it is older than that; train another")
    pairs = tensors["documents.hashes"].view("uint32")
    return {int(high) << 32 | int(low) for high, low in pairs}


def text_hash(text):
    """Hash of a text as the program has it: BLAKE3 of its words in NFC."""
    import unicodedata

    from blake3 import blake3

    words = unicodedata.normalize("NFC", text).split()
    return int.from_bytes(blake3("".join(word + " " for word in words).encode()).digest()[:8], "little")


def ours(model, file):
    """Probabilities of the labels of each text of a file, by carousel."""
    command = [CAROUSEL, "classify", "-m", model, "--input", file, "--json"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    answers = [json.loads(line)["probabilities"] for line in out.splitlines()]
    return [[answer.get(label, 0.0) for label in LABELS] for answer in answers]


def by_rules(name, texts):
    """Scores of the labels by a list of rated words."""
    if name == "VADER":
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

        analyzer, width = SentimentIntensityAnalyzer(), 0.05
        rated = [analyzer.polarity_scores(text)["compound"] for text in texts]
    else:
        from textblob import TextBlob

        width = 1e-9
        rated = [TextBlob(text).sentiment.polarity for text in texts]
    return [[-rating, width, rating] for rating in rated]


def svm(documents):
    """A linear SVM, fitted to documents."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    features = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    fitted = make_pipeline(features, LinearSVC(C=0.3, class_weight="balanced"))
    return fitted.fit([row["text"] for row in documents], [row["label"] for row in documents])


def sign(scores, rows):
    """Accuracy among positive and negative documents. A tie is half right."""
    right = []
    for (negative, _, positive), row in zip(scores, rows):
        if row["label"] != "neutral":
            wanted = positive - negative if row["label"] == "positive" else negative - positive
            right.append(0.5 if wanted == 0 else float(wanted > 0))
    return sum(right) / len(right)


def recall(scores, rows):
    """Mean recall of the labels that the documents have."""
    recalls = []
    for label in sorted({row["label"] for row in rows}):
        own = [score for score, row in zip(scores, rows) if row["label"] == label]
        recalls.append(sum(LABELS[max(range(3), key=score.__getitem__)] == label for score in own) / len(own))
    return sum(recalls) / len(recalls)


def calibration_error(model, file):
    """Calibration error by `carousel evaluate`, among the labels that the file has."""
    command = [CAROUSEL, "evaluate", "-m", model, file, "--json"]
    out = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    evaluated = json.loads(out)
    return (evaluated.get("unseen") or evaluated)["calibration_error"]


def measured(model, data, corpora):
    """The domains: name, file, the rows that are tested on, and their numbers in the file."""
    learnt = learnt_hashes(model)
    files = {
        "films, whole reviews (IMDB)": f"{data}/imdb/train.csv",
        "films, sentences (SST-2)": f"{data}/sst2/valid.csv",
        "tweets (SemEval)": f"{data}/tweets/valid.csv",
        "products (Amazon)": f"{data}/products/amazon.csv",
        "corpora/tries.csv": f"{corpora}/tries.csv",
        "corpora/contrasts.csv": f"{corpora}/contrasts.csv",
    }
    for name, file in files.items():
        rows = read(file)
        new = [index for index, row in enumerate(rows) if text_hash(row["text"]) not in learnt]
        yield name, file, [rows[index] for index in new], new


def main():
    data, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "sentiment"
    folder = model if os.path.isdir(model) else os.path.join(ROOT, "checkpoints", model)
    corpora = os.path.join(ROOT, "corpora")
    domains = list(measured(folder, data, corpora))
    tested = {text_hash(row["text"]) for _, _, rows, _ in domains for row in rows}
    all_learnt = [f"{data}/{name}" for name in LEARNT] + [f"{corpora}/{name}" for name in OWN]
    documents = [row for path in all_learnt for row in read(path) if text_hash(row["text"]) not in tested]
    fitted = svm(documents)
    print(f"{machine()}; {len(documents):,} documents learnt from by the SVM")
    print(f"{'':30}{'texts':>7}{'':4}{'carousel':>9}{'SVM':>9}{'VADER':>9}{'TextBlob':>9}   calibration error")
    for name, file, rows, numbers in domains:
        texts = [row["text"] for row in rows]
        all_ours = ours(folder, file)
        decided = fitted.decision_function(texts)
        order = [list(fitted.classes_).index(label) for label in LABELS]
        systems = [
            [all_ours[number] for number in numbers],
            [[float(row[place]) for place in order] for row in decided],
            by_rules("VADER", texts),
            by_rules("TextBlob", texts),
        ]
        error = calibration_error(folder, file)
        line = "".join(f"{100 * sign(scores, rows):8.1f} " for scores in systems)
        print(f"{name:30}{len(rows):7,} sign{line}   {error:.3f}")
        if any(row["label"] == "neutral" for row in rows):
            line = "".join(f"{100 * recall(scores, rows):8.1f} " for scores in systems)
            print(f"{'':30}{'':6}recall{line}")
        if "kind" in rows[0]:
            kinds = sorted({row["kind"] for row in rows if row["label"] != "neutral"})
            for kind in kinds:
                own = [index for index, row in enumerate(rows) if row["kind"] == kind]
                some = [rows[index] for index in own]
                line = "".join(f"{100 * sign([scores[index] for index in own], some):8.1f} " for scores in systems)
                print(f"  {kind:28}{len(some):7,} sign{line}")


if __name__ == "__main__":
    python = venv(MODULES, PACKAGES)
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
        sys.exit(subprocess.run([python, *sys.argv]).returncode)
    main()
