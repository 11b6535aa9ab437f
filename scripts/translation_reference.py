#!/usr/bin/env python3
"""Computes with sacreBLEU what tests/translation_reference.rs holds BLEU and chrF to.

    python3 scripts/translation_reference.py    writes tests/data/translation.json

The package (scripts/translation-packages.txt) is installed in .venv on demand. The file is an object:
    version     of sacreBLEU
    signatures  of BLEU and chrF, as sacreBLEU prints them
    corpora     a list: hypotheses, references, `bleu` of the corpus with its precisions, brevity_penalty, words and
                reference_words; `chrf`; and for each sentence `sentence_bleu` (effective order) and `sentence_chrf`
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches"))

from pytorch import VENV, venv  # noqa: E402

FILE = ROOT / "tests" / "data" / "translation.json"
PACKAGES = ROOT / "scripts" / "translation-packages.txt"

# Pairs of a translation and its reference.
CORPORA = [
    # What a translator writes: near, far, short, long, and nothing.
    [
        ("Le chien dort sur le canapé.", "Le chien dort sur le canapé rouge."),
        ("Où se trouve la gare, s'il vous plaît ?", "Où est la gare, s'il vous plaît ?"),
        ("Nous mangeons de la soupe à midi et du pain le soir.", "À midi nous mangeons de la soupe, et le soir du pain."),
        ("Oui.", "Oui."),
        ("Il pleut", "Il neige depuis ce matin sur toute la vallée"),
        ("", "Bonne nuit."),
        ("le le le le le le le", "Le chat est sur le tapis."),
    ],
    # Punctuation, figures, entities, quotation marks, hyphens.
    [
        ("It costs 3.50, not 1,000.75 (or so).", "It costs 3.50, not 1,000.75, or so."),
        ("A 5-year-old's well-known co-op... no?!", "A 5-year-old's well-known co-op – no?"),
        ("&quot;Salt &amp; pepper&quot; &lt;b&gt; 50% of $20", '"Salt & pepper" <b> 50 % of $ 20'),
        ("«Là-bas», dit-elle: «à 7h30.»", "« Là-bas », dit-elle : « à 7 h 30. »"),
        ("a/b {c} [d] ~e~ f_g #h @i *j* k=l; m|n \\o ^p `q`", "a / b {c} [d] ~e~ f_g #h @i *j* k = l; m|n \\o ^p `q`"),
        ("The 1980s, the '80s, no. 7, p.5, 5.p, .5 and 5. ", "The 1980s, the '80s, no. 7, p. 5, 5. p, .5 and 5."),
        ("two\u00a0words\u2009and  three\tmore \u001c end", "two words and three more end"),
    ],
    # No order of four words matches, so that precisions are smoothed.
    [
        ("the red house over there", "there is a red house"),
        ("my blue house", "my old blue house"),
    ],
    # Sentences too short for four words.
    [("Guten Tag", "Guten Tag"), ("Ja", "Ja")],
    # Other scripts, and characters outside of the basic plane.
    [
        ("Москва — столица России.", "Москва – столица России."),
        ("我 喜欢 茶。", "我喜欢喝茶。"),
        ("Καλημέρα σας! 🙂🙃", "Καλημέρα σε όλους! 🙂"),
    ],
    # Nothing in common.
    [("abc def", "uvw xyz")],
    # Translations that are longer than their references.
    [("Es ist heute ein sehr schöner und warmer Tag im Garten.", "Heute ist ein schöner Tag.")],
]


def scores(pairs):
    from sacrebleu.metrics import BLEU, CHRF

    hypotheses, references = (list(side) for side in zip(*pairs))
    bleu = BLEU().corpus_score(hypotheses, [references])
    one = BLEU(effective_order=True)
    return {
        "hypotheses": hypotheses,
        "references": references,
        "bleu": bleu.score,
        "precisions": bleu.precisions,
        "brevity_penalty": bleu.bp,
        "words": bleu.sys_len,
        "reference_words": bleu.ref_len,
        "chrf": CHRF().corpus_score(hypotheses, [references]).score,
        "sentence_bleu": [one.sentence_score(hypothesis, [reference]).score for hypothesis, reference in pairs],
        "sentence_chrf": [CHRF().sentence_score(hypothesis, [reference]).score for hypothesis, reference in pairs],
    }


def write():
    import sacrebleu
    from sacrebleu.metrics import BLEU, CHRF

    metrics = BLEU(), CHRF()
    for metric in metrics:
        metric.corpus_score(["a"], [["a"]])
    reference = {
        "version": sacrebleu.__version__,
        "signatures": [str(metric.get_signature()) for metric in metrics],
        "corpora": [scores(pairs) for pairs in CORPORA],
    }
    FILE.write_text(json.dumps(reference, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main():
    python = venv("sacrebleu", ("-r", str(PACKAGES)))
    if os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        sys.exit(subprocess.run([python, __file__]).returncode)
    write()


if __name__ == "__main__":
    main()
