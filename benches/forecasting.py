#!/usr/bin/env python3
"""Automatic ARIMA and exponential smoothing of carousel and of statsforecast: the same series, in turn, in one run.

    make bench
    python3 benches/forecasting.py                          the series in corpora/series/
    python3 benches/forecasting.py FOLDER                   and those in FOLDER: M3, M4 and well-known ones, if there
    python3 benches/forecasting.py FOLDER --each 20 --rounds 5 --methods ets --hourly

Both sides choose the orders (the form) by themselves, and are told the season. statsforecast runs in a process of its own,
which has fitted a series of the same season before the first one that is timed, so that nothing is compiled or loaded
within a time; carousel says the seconds of fitting itself (`seconds`). Beside them stands the time of the whole
carousel command. Medians of the rounds; the ratio is statsforecast's time over carousel's.

AICc is compared where both took the same differences, for others do not measure the same thing; a dot says that they
are not comparable. That of exponential smoothing is R's on both sides, without the likelihood's constants; carousel
does not fit it for the greatest likelihood alone (src/forecasting/ets/parameters.rs), and so may be behind. A
difference is carousel's less statsforecast's: below 0 is better.

With FOLDER, whole panels are forecast at the end: 1,000 monthly series by ETS, and with --hourly the 414 of M4 by ARIMA.

Packages are installed in .venv on demand. Run it on a quiet machine.
"""

import argparse
import csv
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forecasting_quality import read, spread, write
from pytorch import CAROUSEL, ROOT, machine, venv

PACKAGES = os.path.join(ROOT, "scripts", "forecasting-packages.txt")
OURS = Path(ROOT) / "corpora" / "series"
# File, column and season.
OWN = [
    ("monthly.csv", "nights", 12),
    ("quarterly.csv", "bricks", 4),
    ("daily.csv", "rides", 7),
    ("weather.csv", "ices", 7),
    ("yearly.csv", "hares", 1),
    ("ar2.csv", "value", 1),
    ("ma1.csv", "value", 1),
    ("walk.csv", "value", 1),
]
GIVEN = [
    ("airpassengers.csv", "value", 12),
    ("wineind.csv", "value", 12),
    ("co2_monthly.csv", "co2", 12),
    ("ausbeer.csv", "value", 4),
    ("woolyrnq.csv", "value", 4),
    ("lynx.csv", "value", 1),
    ("nile_yearly.csv", "volume", 1),
    ("sunspots_yearly.csv", "sunspots", 1),
]
# File and season; some series of each.
PANELS = [
    ("m3_month_train.csv", 12),
    ("m3_quart_train.csv", 4),
    ("m4_weekly_train.csv", 1),
    ("m4_daily_sub_train.csv", 1),
]
# Days of the ridership that are used: the book's years.
RIDERSHIP = ("cta_ridership.csv", "rail", "2016-01-01", "2018-12-31")
HORIZON = 12


def column(path, name, first="", last="9999"):
    """Values of a column, between two dates if the file has them."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row[name]) for row in rows if first <= row.get("date", first) <= last and row[name]]


def collected(folder, each):
    """Name, values and season of every series."""
    for file, name, season in OWN:
        yield file.removesuffix(".csv"), column(OURS / file, name), season
    if folder is None:
        return
    for file, name, season in GIVEN:
        if (folder / file).exists():
            yield file.removesuffix(".csv"), column(folder / file, name), season
    file, name, first, last = RIDERSHIP
    if (folder / file).exists():
        yield f"{name} of {file.removesuffix('.csv')}", column(folder / file, name, first, last), 7
    for file, season in PANELS:
        if (folder / file).exists():
            series = read(folder / file)
            for key in spread(series, each):
                yield f"{key} of {file.removesuffix('_train.csv')}", series[key], season


class Theirs:
    """statsforecast in a process of its own."""

    def __init__(self, python):
        environment = dict(os.environ, NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")
        command = [python, "-W", "ignore", os.path.abspath(__file__), "--worker"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)

    def fit(self, method, values, season):
        """An object of seconds, aicc, model and differences; or of error."""
        print(json.dumps([method, values, season]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "statsforecast's process ended"}


def worker():
    """Answers requests, one a line."""
    import numpy
    from statsforecast.models import AutoARIMA, AutoETS

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm = set()
    for line in sys.stdin:
        method, values, season = json.loads(line)
        make = {"arima": AutoARIMA, "ets": AutoETS}[method]
        if (method, season) not in warm:
            before = [10 + math.sin(2 * math.pi * t / max(season, 2)) + t * 37 % 11 / 9 for t in range(60 + 4 * season)]
            make(season_length=season).fit(numpy.array(before))
            warm.add((method, season))
        values = numpy.array(values)
        began = time.perf_counter()
        try:
            model = make(season_length=season).fit(values).model_
            found = {"seconds": time.perf_counter() - began, **described(method, model, season)}
        except Exception as error:
            found = {"error": str(error)}
        print(json.dumps(found), file=answers, flush=True)


def described(method, model, season):
    """Name, AICc and what has to be equal for it to be compared."""
    if method == "ets":
        # Its name is that of R: ETS(M,Ad,M).
        return {"model": model["method"], "aicc": float(model["aicc"]), "differences": [0, 0]}
    p, q, seasonal_p, seasonal_q, period, d, seasonal_d = (int(order) for order in model["arma"])
    name = f"ARIMA({p},{d},{q})"
    if season > 1 and seasonal_p + seasonal_d + seasonal_q:
        name += f"({seasonal_p},{seasonal_d},{seasonal_q})[{period}]"
    return {"model": name, "aicc": float(model["aicc"]), "differences": [d, seasonal_d]}


def carousel(method, path, season):
    """The same of carousel, and `whole`: the seconds of the command."""
    command = [CAROUSEL, "forecast", path, "--horizon", str(HORIZON), "--method", method, "--json"]
    command += ["--season", str(season)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    whole = time.perf_counter() - began
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    row = next(json.loads(line) for line in done.stdout.splitlines() if line.strip())
    orders = re.findall(r"\((\d+),(\d+),(\d+)\)", row["model"])
    differences = [int(order[1]) for order in orders] + [0, 0]
    return {
        "seconds": row["seconds"],
        "aicc": row["aicc"],
        "model": row["model"],
        "differences": differences[:2],
        "whole": whole,
    }


def milliseconds(rounds, key="seconds"):
    return 1000 * statistics.median(found[key] for found in rounds)


def compare(method, series, theirs, folder, rounds):
    """Prints a table; series on which one side fails are named and left out of the medians."""
    print(f"\n{method}: milliseconds of fitting, medians of {rounds}")
    head = f"{'series':26}{'m':>3}{'n':>6}{'carousel':>10}{'(whole)':>9}{'statsf.':>10}{'ratio':>8}{'AICc':>10}"
    print(f"{head}  carousel's model | statsforecast's", flush=True)
    found = []
    for name, values, season in series:
        path = os.path.join(folder, "series.csv")
        write(path, {"a": values})
        pairs = []
        for _ in range(rounds):
            pair = carousel(method, path, season), theirs.fit(method, values, season)
            pairs.append(pair)
            if any("error" in side for side in pair):
                break
        sides = zip(("carousel", "statsforecast"), pairs[-1])
        failed = [f"{who}: {side['error']}" for who, side in sides if "error" in side]
        if failed:
            print(f"{name[:25]:26}{season:3}{len(values):6}  {'; '.join(failed)}", flush=True)
            continue
        ours, others = zip(*pairs)
        ratio = statistics.median(b["seconds"] / max(a["seconds"], 1e-9) for a, b in pairs)
        same = ours[0]["differences"] == others[0]["differences"]
        less = ours[0]["aicc"] - others[0]["aicc"] if same and ours[0]["aicc"] is not None else None
        found.append((season, ratio, less))
        difference = "." if less is None else f"{less:+.2f}"
        models = f"{ours[0]['model']} | {others[0]['model']}"
        times = f"{milliseconds(ours):10.2f}{milliseconds(ours, 'whole'):9.1f}{milliseconds(others):10.1f}"
        print(f"{name[:25]:26}{season:3}{len(values):6}{times}{ratio:8.1f}{difference:>10}  {models}", flush=True)
    for season in sorted({season for season, _, _ in found}):
        summary(f"season {season}", [row for row in found if row[0] == season])
    summary("all", found)


def summary(name, found):
    if not found:
        return
    ratios = [ratio for _, ratio, _ in found]
    compared = [less for _, _, less in found if less is not None]
    fine = sum(less <= 0.5 for less in compared)
    print(
        f"{name}: {statistics.median(ratios):.1f} times as fast in the median of {len(ratios)} series "
        f"(least {min(ratios):.1f}); AICc no worse by more than 0.5 on {fine} of {len(compared)} that compare",
        flush=True,
    )


def panel(path, method, season, count, folder):
    """Seconds of the command for a whole panel."""
    series = read(path)
    series = {key: series[key] for key in spread(series, count)}
    some = os.path.join(folder, "panel.csv")
    write(some, series)
    command = [CAROUSEL, "forecast", some, "--horizon", "18", "--method", method, "--season", str(season), "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    result = f"{seconds:.1f} s, {len(done.stdout.splitlines())} forecasts, exit code {done.returncode}"
    print(f"{len(series)} series of {path.name}, {method}: {result}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Automatic ARIMA and ETS of carousel and statsforecast.")
    parser.add_argument("folder", nargs="?", type=Path, help="where the M3 and M4 panels and others are")
    parser.add_argument("--methods", default="arima,ets", help="arima, ets or both, by commas")
    parser.add_argument("--each", type=int, default=5, help="series of each panel, spread evenly")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hourly", action="store_true", help="M4's 414 hourly series, too (minutes)")
    flags = parser.parse_args()
    theirs = Theirs(venv("statsmodels, statsforecast", ("-r", PACKAGES)))
    series = list(collected(flags.folder, flags.each))
    print(f"{machine()}; {len(series)} series", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for method in flags.methods.split(","):
            compare(method, series, theirs, folder, flags.rounds)
        print()
        if flags.folder and (flags.folder / "m3_month_train.csv").exists():
            panel(flags.folder / "m3_month_train.csv", "ets", 12, 1000, folder)
        if flags.folder and flags.hourly:
            panel(flags.folder / "m4_hourly_train.csv", "arima", 24, None, folder)
    theirs.process.stdin.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        worker()
    else:
        main()
