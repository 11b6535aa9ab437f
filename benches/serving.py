#!/usr/bin/env python3
"""Load on `carousel serve`: requests each second, time to the first token, and between tokens.

    python3 benches/serving.py MODEL [--clients 64] [--requests 256] [--tokens 128]

What llama.cpp's server benchmark counts, with a number of clients that each send the next request when the last was
answered: requests and tokens each second; time to the first token and time of a whole request, p50 and p99. Beside it the
rate of `carousel generate --samples CLIENTS`, and the time to the first token of one more client while the others are served.
Run it on a quiet machine.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import threading
import time

from pytorch import CAROUSEL, machine

PROMPT = "The "
TEMPERATURE = 0.8


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    print(f"{machine()}; {options.model}, {options.clients} clients, {options.requests} requests of {options.tokens} tokens")
    command = [CAROUSEL, "serve", options.model, "--port", "0", "--parallel", "256", "--queue", "1024"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = next(line for line in server.stderr if line.startswith("listens"))
            port = int(line.split()[1].rstrip(";").rsplit(":", 1)[1])
            stream(port, options.tokens, 0)
            load(port, options)
        finally:
            server.terminate()
    rate = command_rate(options)
    print(f"{'carousel generate':24}{rate:12,.0f} tokens/s with --samples {options.clients}")


def load(port, options):
    times, lock, left = [], threading.Lock(), iter(range(options.requests))
    extra = []

    def client():
        while True:
            with lock:
                seed = next(left, None)
            if seed is None:
                return
            measured = stream(port, options.tokens, seed)
            with lock:
                times.append(measured)

    threads = [threading.Thread(target=client) for _ in range(options.clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    # One more, while the others are in the midst of it.
    while len(times) < options.requests // 2:
        time.sleep(0.001)
    extra.append(stream(port, options.tokens, -1))
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    first, whole = [one[0] for one in times], [one[1] for one in times]
    count = len(times) + len(extra)
    print(f"{'requests':24}{count / seconds:12,.1f} /s")
    print(f"{'tokens':24}{count * options.tokens / seconds:12,.0f} /s")
    print(f"{'first token':24}{percentiles(first)}")
    print(f"{'whole request':24}{percentiles(whole)}")
    print(f"{'first token of another':24}{1000 * extra[0][0]:12.1f} ms")


def stream(port, tokens, seed):
    """Seconds to the first token, and to the end."""
    start, first = time.perf_counter(), None
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = {"prompt": PROMPT, "max_tokens": tokens, "temperature": TEMPERATURE, "seed": seed, "stream": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    for line in response:
        if first is None and line.startswith(b"data:"):
            first = time.perf_counter() - start
    connection.close()
    return first, time.perf_counter() - start


def percentiles(seconds):
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{1000 * cuts[49]:12.1f} ms p50{1000 * cuts[98]:12.1f} ms p99"


def command_rate(options):
    command = [CAROUSEL, "generate", "-m", options.model, "-p", PROMPT, "--samples", str(options.clients)]
    command += ["--length", str(4 * options.tokens), "--seed", "1", "--json", "--temperature", str(TEMPERATURE), "--min-p", "0"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(out.splitlines()[0])["tokens_per_second"]


if __name__ == "__main__":
    main()
