#!/usr/bin/env python3
"""The official Python client `openai` completes and streams with `carousel serve`.

    make test-python

It is installed in a virtual environment of its own, target/test-python; the exit code is 3 if it cannot be.
"""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CAROUSEL = os.path.join(ROOT, "target", "release", "carousel")
VENV = os.path.join(ROOT, "target", "test-python")
PACKAGE = "openai==3.57.0"


def main():
    if "--inside" not in sys.argv:
        sys.exit(subprocess.run([python(), os.path.abspath(__file__), "--inside"]).returncode)
    with tempfile.TemporaryDirectory() as folder:
        corpus = os.path.join(folder, "corpus.txt")
        with open(corpus, "w") as file:
            file.writelines(f"The {who} went to the {what}, and came home.\n" for who in WHO for what in WHAT)
        model = os.path.join(folder, "tales")
        subprocess.run([CAROUSEL, "train", corpus, "-o", model, "--baseline", "ngram", "--order", "4", "-q"], check=True)
        check(model)
    print("openai completes and streams")


WHO = [f"{adjective} {name}" for adjective in ("old", "young", "tall") for name in ("miller", "fox", "widow", "smith")]
WHAT = ["bell", "well", "boat", "mill", "bridge"]


def python():
    """Path of the virtual environment's Python, made on demand."""
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if subprocess.run([python, "-c", "import openai"], capture_output=True).returncode:
        if subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE]).returncode:
            sys.exit(3)
    return python


def check(model):
    import openai

    with subprocess.Popen([CAROUSEL, "serve", model, "--port", "0", "--api-key", "secret"], stderr=subprocess.PIPE, text=True) as server:
        try:
            address = next(line for line in server.stderr if line.startswith("listens")).split()[1].rstrip(";")
            with openai.OpenAI(base_url=f"{address}/v1", api_key="secret", max_retries=0) as client:
                use(client, openai)
            with openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0) as client:
                refused(openai.AuthenticationError, client.models.list)
        finally:
            server.terminate()
            assert server.wait() == 0


def use(client, openai):
    assert [model.id for model in client.models.list()] == ["tales"]
    request = {"model": "tales", "prompt": "The old", "max_tokens": 40, "seed": 3, "temperature": 0.8}
    whole = client.completions.create(**request, n=2, logprobs=2)
    assert [choice.index for choice in whole.choices] == [0, 1]
    choice = whole.choices[0]
    assert choice.finish_reason == "length" and "".join(choice.logprobs.tokens) == choice.text
    assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.top_logprobs) == 40
    assert whole.usage.completion_tokens == 80

    events = list(client.completions.create(**request, stream=True, stream_options={"include_usage": True}))
    text = "".join(event.choices[0].text for event in events if event.choices)
    assert text == choice.text, (text, choice.text)
    assert events[-1].usage.completion_tokens == 40
    reasons = [event.choices[0].finish_reason for event in events if event.choices]
    assert reasons[-1] == "length" and not any(reasons[:-1])

    stopped = client.completions.create(**request, stop=["home"], extra_body={"top_k": 1})
    assert "home" not in stopped.choices[0].text and stopped.choices[0].finish_reason == "stop"
    refused(openai.NotFoundError, lambda: client.completions.create(**{**request, "model": "gone"}))
    refused(openai.BadRequestError, lambda: client.completions.create(**{**request, "temperature": -1}))


def refused(kind, call):
    """Checks that a call fails with an error of a kind, which has a message."""
    try:
        call()
    except kind as error:
        assert error.body["message"], error
    else:
        raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    main()
