#!/usr/bin/env python3
"""Draws docs/recording.svg: a terminal window with the output of a real run.

    make build && python3 scripts/recording.py

Trains on corpora/tales for a minute, generates and classifies, in a temporary folder. Lines are shortened to the
window's width or left out ("..."), never changed, except that speeds are cut off: those of one short run on a busy
machine would mislead. They are in docs/speed-and-quality.md.
"""

import argparse
import html
import os
import re
import shlex
import subprocess
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = [
    "carousel train corpora/tales -o tales --time 60s",
    'carousel generate -m tales -p "The old man" --length 320 --seed 6',
    'carousel classify "what a waste of two hours" "not bad at all"',
]
COLUMNS = 100
FONT_SIZE, CHARACTER_WIDTH, LINE_HEIGHT = 14, 8.43, 20
MARGIN, TITLE_HEIGHT = 18, 38
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
COLOURS = {
    "background": "#0d1117",
    "title": "#161b22",
    "border": "#30363d",
    "prompt": "#3fb950",
    "command": "#f0f6fc",
    "output": "#c9d1d9",
    "sample": "#79c0ff",
    "omitted": "#8b949e",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "carousel")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "recording.svg")
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(ROOT / "corpora", Path(folder) / "corpora")
        for command in COMMANDS:
            if lines:
                lines.append(("output", ""))
            lines.append(("command", command))
            lines += run(command, arguments.program, folder)
    arguments.output.write_text(draw(lines))
    print(f"{arguments.output}: {len(lines)} lines")


def run(command, program, folder):
    """Lines of a command's output, each with its kind."""
    environment = {**os.environ, "CAROUSEL_MODELS": str(ROOT / "checkpoints"), "XDG_CACHE_HOME": folder}
    words = [str(program.resolve()), *shlex.split(command)[1:]]
    process = subprocess.run(words, cwd=folder, env=environment, text=True, check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if words[1].startswith("train"):
        return [line for text in shorten(process.stderr.splitlines()) for line in wrap(text)]
    # Standard error holds only the speed and the seed.
    output = process.stdout
    if words[1] == "generate":
        output = re.sub(r"(?s)(.*[.?!]\"?)\s.*", r"\1 ...", output)  # Up to the last whole sentence.
    return [line for text in output.splitlines() for line in wrap(text)]


def shorten(lines):
    """The plan, the first and the last improvement with their samples, and the last lines of a training run."""
    progress = re.compile(r"\s*\d+%|chosen ")
    lines = [re.sub(r" at [\d,]+ tokens/s.*", "", line) for line in lines if not progress.match(line)]
    evaluations = [index for index, line in enumerate(lines) if line.startswith("step ")]
    end = next(index for index, line in enumerate(lines) if line.startswith("done"))
    improvements = [index for index in evaluations if lines[index + 1].startswith("  | ")]

    def with_sample(index):
        stop = next(i for i in range(index + 1, end + 1) if not lines[i].startswith("  |"))
        return [lines[index], *[line for line in lines[index + 1 : stop] if line.strip() != "|"]]

    first, last = with_sample(improvements[0]), with_sample(improvements[-1])
    return [*lines[: evaluations[0]], *first, "...", *last, *lines[end:]]


def wrap(text):
    """A line of output as lines that fit the window, each with its kind."""
    kind = "sample" if text.startswith("  | ") else "omitted" if text == "..." else "output"
    indent = "  | " if kind == "sample" else ""
    text = text.expandtabs(8)
    wrapped = textwrap.wrap(text, COLUMNS, subsequent_indent=indent, replace_whitespace=False,
                            drop_whitespace=True, break_on_hyphens=False)
    return [(kind, line) for line in wrapped or [""]]


def draw(lines):
    """The terminal window as SVG."""
    width = round(2 * MARGIN + COLUMNS * CHARACTER_WIDTH)
    height = TITLE_HEIGHT + 2 * MARGIN + LINE_HEIGHT * len(lines)
    border = COLOURS["border"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{FONTS}" font-size="{FONT_SIZE}" role="img" '
        'aria-label="A terminal: carousel trains on a text, generates and classifies">',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="{COLOURS["background"]}" '
        f'stroke="{border}"/>',
        f'<path d="M0.5 {TITLE_HEIGHT}V10.5a10 10 0 0 1 10 -10H{width - 10.5}a10 10 0 0 1 10 10V{TITLE_HEIGHT}Z" '
        f'fill="{COLOURS["title"]}" stroke="{border}"/>',
    ]
    for index, colour in enumerate(["#ff5f57", "#febc2e", "#28c840"]):
        parts.append(f'<circle cx="{22 + 20 * index}" cy="{TITLE_HEIGHT / 2}" r="6" fill="{colour}"/>')
    parts.append(f'<text x="{width / 2}" y="{TITLE_HEIGHT / 2 + 5}" text-anchor="middle" font-size="13" '
                 f'fill="{COLOURS["omitted"]}">carousel</text>')
    for row, (kind, text) in enumerate(lines):
        y = TITLE_HEIGHT + MARGIN + LINE_HEIGHT * row + FONT_SIZE
        if kind == "command":
            parts.append(text_at(MARGIN, y, "$", "prompt"))
            parts.append(text_at(MARGIN + 2 * CHARACTER_WIDTH, y, text, "command"))
        elif text:
            parts.append(text_at(MARGIN, y, text, kind))
    return "\n".join([*parts, "</svg>"]) + "\n"


def text_at(x, y, text, kind):
    """A line of text; its length is given, so that columns stay columns in any font."""
    bold = ' font-weight="bold"' if kind == "command" else ""
    length = len(text) * CHARACTER_WIDTH
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{COLOURS[kind]}"{bold} xml:space="preserve" '
            f'textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(text, quote=False)}</text>')


if __name__ == "__main__":
    main()
