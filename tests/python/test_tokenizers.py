"""The Python package `tokenizers` reads our tokenizer.json, and gives carousel's ids for whatever a text is."""

import random
import sys
import unicodedata
from pathlib import Path

import pytest

carousel = pytest.importorskip("carousel")
tokenizers = pytest.importorskip("tokenizers")

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
COUNT = 10_000
#: Characters that texts seldom have, and rules of Unicode treat apart.
ODD = "\n\r\t \u00a0\u2028\u0000\u0085\u200d\ufe0f\u0301\u0345'’-_.,!?\U0001f468\u200d\U0001f469ÅﬁİßſǆΩ한글각กำعربيहिन्दी"
WORDS = ["The", "film", " was", "n't", "don't", "It's", "station", "where", "coffee", "1984", "e.g.", "ca. 3,5", "...", ":-)"]


def characters():
    """Every code point but surrogates, which are no text."""
    return [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) != "Cs"]


def strings():
    """Odd strings, the same ones each time."""
    chance, every = random.Random(1), characters()
    assigned = [one for one in every if unicodedata.category(one) not in ("Cn", "Co")]
    for _ in range(COUNT):
        parts = []
        for _ in range(chance.randrange(30)):
            source = chance.choice((every, assigned, ODD, ODD, WORDS, WORDS, [chr(code) for code in range(32, 127)]))
            parts.append(chance.choice(source))
        yield chance.choice(("", " ")).join(parts)


@pytest.mark.parametrize("name", ["reviews", "sentiment", "en-fr"])
def test_ids_are_those_of_tokenizers(name):
    model = carousel.load(CHECKPOINTS / name)
    reference = tokenizers.Tokenizer.from_file(str(CHECKPOINTS / name / "tokenizer.json"))
    texts = list(strings())
    assert len(set(texts)) > 0.9 * COUNT
    expected = reference.encode_batch(texts, add_special_tokens=False)
    found = model.tokenize_all(texts)
    pairs = zip(texts, found, expected, strict=True)
    different = [text for text, own, other in pairs if own.tolist() != other.ids]
    assert not different, f"{len(different)} of {COUNT} differ, the first: {different[0]!r}"
