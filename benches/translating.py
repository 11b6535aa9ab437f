#!/usr/bin/env python3
"""Time of a translation, one sentence after another, in carousel and in PyTorch: the same network, the same sentences, in turn.

    python3 benches/translating.py
    python3 benches/translating.py MODEL PAIRS.tsv

By default the translator that ships, and the sources in corpora/pairs.tsv. Both take the most probable token at each step;
carousel in float32, bfloat16 and int8, PyTorch in float32. PyTorch, in a virtual environment of its own (.venv), runs nn.GRU or nn.LSTM over the source and step by step over
the target, without gradients. carousel is asked for a sentence when it has answered the one before. Run it on a quiet
machine.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from pytorch import CAROUSEL, PYTORCH, ROOT, machine, venv

ROUNDS = 3
SENTENCES = 150
PRECISIONS = ["f32", "bf16", "int8"]


def main(model, pairs):
    python = venv("torch, tokenizers, safetensors", (PYTORCH, "numpy", "tokenizers", "safetensors"))
    with open(pairs) as file:
        sentences = [line.split("\t")[0] for line in file.read().splitlines()[1:]][:SENTENCES]
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "model")
        subprocess.run([CAROUSEL, "export", "-m", model, "-o", plain, "--precision", "f32"], check=True, capture_output=True)
        lines = os.path.join(folder, "lines")
        with open(lines, "w") as file:
            file.writelines(line + "\n" for line in sentences)
        rounds = []
        for _ in range(ROUNDS):
            ours = {precision: carousel(plain, sentences, precision) for precision in PRECISIONS}
            theirs = json.loads(subprocess.check_output([python, __file__, "pytorch", plain, lines], text=True))
            rounds.append((ours, theirs))
    print(f"{machine()}; medians of {ROUNDS} runs of each, in turn; {len(sentences)} sentences, one after another")
    milliseconds = lambda runs: statistics.median(run["seconds"] for run in runs) / len(sentences) * 1000
    theirs = milliseconds([theirs for _, theirs in rounds])
    for precision in PRECISIONS:
        ours = milliseconds([ours[precision] for ours, _ in rounds])
        ratio = statistics.median(theirs["seconds"] / ours[precision]["seconds"] for ours, theirs in rounds)
        same = sum(a == b for a, b in zip(rounds[0][0][precision]["lines"], rounds[0][1]["lines"]))
        print(f"{precision:5} carousel {ours:.3f} ms a sentence, PyTorch {theirs:.3f} ms, ratio {ratio:.1f}; {same} translations are the same")


def carousel(model, sentences, precision):
    """Seconds between the first question and the last answer; the program has translated a sentence before."""
    command = [CAROUSEL, "translate", "-m", model, "--beam", "1", "--precision", precision]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "--interactive"], text=True, **pipes) as process:
        def ask(line):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            return process.stdout.readline().rstrip("\n")

        ask(sentences[0])
        began = time.perf_counter()
        lines = [ask(line) for line in sentences]
        seconds = time.perf_counter() - began
        process.stdin.close()
    return {"seconds": seconds, "lines": lines}


def pytorch(folder, path):
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from torch import nn

    config = json.load(open(os.path.join(folder, "config.json")))
    weights = {name: tensor.float() for name, tensor in load_file(os.path.join(folder, "model.safetensors")).items()}
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    end = tokenizer.encode("\n").ids[0]
    body = config["body"]
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[body["decoder"].get("cell", "lstm")]
    if body["attention"] != "dot" or body["input_feeding"]:
        sys.exit("the PyTorch side has dot attention alone")

    def layers(side):
        of = body[side]
        width = weights[f"{side}.rnn.weight_ih_l0"].shape[1]
        module = kind(width, of["hidden_size"], of["num_layers"], bidirectional=side == "encoder")
        names = {f"{side}.rnn.": "", f"{side}.reverse.": "_reverse"}
        own = {
            name[len(begin) :] + suffix: tensor
            for begin, suffix in names.items()
            for name, tensor in weights.items()
            if name.startswith(begin)
        }
        module.load_state_dict(own)
        return module.eval()

    if body["decoder"]["num_layers"] > 1:
        sys.exit("the PyTorch side has one decoder layer alone")
    encoder, decoder = layers("encoder"), layers("decoder")
    embedding = weights["embedding.weight"]
    output = weights.get("output.weight", embedding)
    linear = nn.functional.linear

    @torch.inference_mode()
    def translate(text):
        ids = tokenizer.encode(text).ids + [end]
        memory, last = encoder(embedding[torch.tensor(ids)])
        last = last[0] if kind is nn.LSTM else last
        state = torch.tanh(linear(last.flatten(), weights["bridge.weight"], weights["bridge.bias"]))
        state = tuple(part[None] for part in state.chunk(2)) if kind is nn.LSTM else state[None]
        token, written = end, []
        while len(written) < 2 * len(ids) + 10:
            outputs, state = decoder(embedding[token][None], state)
            looked = memory @ linear(outputs[0], weights["attention.query.weight"])
            context = looked.softmax(0) @ memory
            read = torch.tanh(linear(torch.cat([outputs[0], context]), weights["readout.weight"], weights["readout.bias"]))
            token = int(linear(read, output, weights["output.bias"]).argmax())
            if token == end:
                break
            written.append(token)
        return tokenizer.decode(written).strip()

    with open(path) as file:
        sentences = file.read().splitlines()
    translate(sentences[0])
    began = time.perf_counter()
    lines = [translate(line) for line in sentences]
    print(json.dumps({"seconds": time.perf_counter() - began, "lines": lines}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["pytorch"]:
        pytorch(*sys.argv[2:])
    else:
        main(*(sys.argv[1:] or [os.path.join(ROOT, "checkpoints", "en-fr"), os.path.join(ROOT, "corpora", "pairs.tsv")]))
