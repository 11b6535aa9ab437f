#!/usr/bin/env python3
"""Accuracy of `carousel forecast` on the ends of the M3 and M4 competitions' series, which are held out of their files.

    python3 benches/forecasting_quality.py FOLDER
    python3 benches/forecasting_quality.py FOLDER --methods auto,ets,theta --panels m3_month,m4_weekly --series 100

FOLDER holds m3_month_train.csv, m3_quart_train.csv, m4_weekly_train.csv, m4_daily_sub_train.csv and m4_hourly_train.csv
(those that are not there are left out): columns id and values, values apart by spaces, oldest first. The last values
of each series, as many as the competition asked for, are cut off; the program forecasts from what is left, without
being told the season (unless --season), and what it says is compared with what was cut off. A series too short to
leave a season and two values more is left out, and so is its count.

The measures are those of M4 (Makridakis et al. 2020), computed here, without the program's own:

    sMAPE     mean of 200 |y - f| / (|y| + |f|), first over a series, then over the series
    MASE      mean |y - f| over the mean |y[t] - y[t-m]| of what is left, the same way; series where that is 0 are left out
    OWA       half the sum of sMAPE and MASE, each over that of Naive2
    80, 95    percentage of the values within the interval of that level

Naive2 repeats the last value of the series without its season, which is multiplied again: classical decomposition, if
the autocorrelation at the season is significant at 90 % (needs three seasons).
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pytorch import CAROUSEL, machine

# File, horizon and season of each panel.
PANELS = {
    "m3_month": ("m3_month_train.csv", 18, 12),
    "m3_quart": ("m3_quart_train.csv", 8, 4),
    "m4_weekly": ("m4_weekly_train.csv", 13, 1),
    "m4_daily": ("m4_daily_sub_train.csv", 14, 1),
    "m4_hourly": ("m4_hourly_train.csv", 48, 24),
}
METHODS = ["naive", "seasonal-naive", "ets", "theta", "arima", "combination", "auto"]
LEVELS = ["80", "95"]


def read(path):
    """Series of a panel by their ids."""
    csv.field_size_limit(sys.maxsize)
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return {row[0]: [float(value) for value in row[1].split()] for row in rows}


def spread(names, count):
    """At most `count` of the names, evenly over all."""
    names = list(names)
    if count is None or count >= len(names):
        return names
    return [names[index * len(names) // count] for index in range(count)]


def write(path, series):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "values"])
        rows.writerows([name, " ".join(map(repr, values))] for name, values in series.items())


def autocorrelations(values, lags):
    mean = sum(values) / len(values)
    centred = [value - mean for value in values]
    square = sum(value * value for value in centred)
    if square == 0:
        return [0.0] * lags
    return [sum(a * b for a, b in zip(centred, centred[lag:])) / square for lag in range(1, lags + 1)]


def is_seasonal(values, season):
    """M4's test: whether the autocorrelation at the season is significant at 90 %."""
    if season < 2 or len(values) < 3 * season:
        return False
    found = autocorrelations(values, season)
    limit = 1.645 * ((1 + 2 * sum(r * r for r in found[:-1])) / len(values)) ** 0.5
    return abs(found[-1]) > limit


def season_indices(values, season):
    """Classical multiplicative decomposition: index of each place in the season, counted from the first value."""
    half = season // 2
    places = [[] for _ in range(season)]
    for at in range(half, len(values) - half):
        if season % 2:
            trend = sum(values[at - half : at + half + 1]) / season
        else:
            inner = sum(values[at - half + 1 : at + half])
            trend = (inner + (values[at - half] + values[at + half]) / 2) / season
        if trend:
            places[at % season].append(values[at] / trend)
    means = [sum(place) / len(place) if place else 1.0 for place in places]
    level = sum(means) / season
    return [mean / level for mean in means] if level else [1.0] * season


def naive2(values, season, horizon):
    """Forecast of Naive2."""
    indices = [1.0]
    if is_seasonal(values, season):
        indices = season_indices(values, season)
        # A season that turns signs, or is 0 somewhere, is none.
        if min(indices) <= 0:
            indices = [1.0]
    last = values[-1] / indices[(len(values) - 1) % len(indices)]
    return [last * indices[(len(values) + step) % len(indices)] for step in range(horizon)]


def smape(forecast, actual):
    pairs = [(abs(a - f), abs(a) + abs(f)) for f, a in zip(forecast, actual)]
    return sum(200 * error / size if size else 0.0 for error, size in pairs) / len(pairs)


def mase(forecast, actual, history, season):
    """None where the history has no error to compare with."""
    scale = [abs(b - a) for a, b in zip(history, history[season:])]
    if not scale or not sum(scale):
        return None
    error = sum(abs(a - f) for f, a in zip(forecast, actual)) / len(actual)
    return error / (sum(scale) / len(scale))


def mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def carousel(path, horizon, method, season):
    """What the program forecasts, by the series' ids, and the seconds of the whole command."""
    command = [CAROUSEL, "forecast", path, "--horizon", str(horizon), "--method", method, "--json"]
    command += ["--season", str(season)] if season else []
    began = time.perf_counter()
    # Its progress and its remarks are left out; an error is shown.
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr.strip()}")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return {str(row["series"]): row for row in rows}, seconds


def measures(found, histories, ends, season):
    """sMAPE, MASE and percentages within the intervals; how many series had no forecast."""
    errors, scaled, within, missing = [], [], {level: [] for level in LEVELS}, 0
    for name, actual in ends.items():
        row = found.get(name)
        if row is None or len(row["forecast"]) != len(actual) or None in row["forecast"]:
            missing += 1
            continue
        errors.append(smape(row["forecast"], actual))
        scaled.append(mase(row["forecast"], actual, histories[name], season))
        for level in LEVELS if "lower" in row else []:
            limits = zip(row["lower"][level], actual, row["upper"][level])
            # An end that is not a number is none.
            sides = [(low is None or low <= value) and (high is None or value <= high) for low, value, high in limits]
            within[level] += [float(side) for side in sides]
    return mean(errors), mean(scaled), [100 * mean(within[level]) for level in LEVELS], missing


def judge(name, folder, flags):
    """Prints the table of one panel."""
    file, horizon, season = PANELS[name]
    series = read(Path(flags.folder) / file)
    series = {key: values for key, values in series.items() if len(values) >= horizon + season + 2}
    series = {key: series[key] for key in spread(series, flags.series)}
    histories = {key: values[:-horizon] for key, values in series.items()}
    ends = {key: values[-horizon:] for key, values in series.items()}
    path = Path(folder) / file
    write(path, histories)
    theirs = {key: {"forecast": naive2(values, season, horizon)} for key, values in histories.items()}
    base = measures(theirs, histories, ends, season)
    print(f"\n{name}: {len(series)} series, horizon {horizon}, season {season}{' (told)' if flags.season else ''}")
    print(f"{'method':16}{'OWA':>8}{'sMAPE':>8}{'MASE':>8}{'80':>7}{'95':>7}{'seconds':>9}")
    print(f"{'Naive2':16}{1:8.3f}{base[0]:8.2f}{base[1]:8.3f}", flush=True)
    for method in flags.methods:
        found, seconds = carousel(path, horizon, method, flags.season and season)
        error, scaled, within, missing = measures(found, histories, ends, season)
        owa = (error / base[0] + scaled / base[1]) / 2
        line = f"{method:16}{owa:8.3f}{error:8.2f}{scaled:8.3f}{within[0]:7.1f}{within[1]:7.1f}{seconds:9.1f}"
        print(line + (f"   {missing} series without a forecast" if missing else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Accuracy of carousel forecast on held-out ends.")
    parser.add_argument("folder", help="where the panels are")
    parser.add_argument("--methods", default=",".join(METHODS), help="methods of carousel forecast, by commas")
    parser.add_argument("--panels", default=",".join(PANELS), help="panels, by commas")
    parser.add_argument("--series", type=int, help="so many series of each panel at most, spread evenly")
    parser.add_argument("--season", action="store_true", help="tell the program the season")
    flags = parser.parse_args()
    flags.methods, flags.panels = flags.methods.split(","), flags.panels.split(",")
    unknown = [name for name in flags.panels if name not in PANELS]
    if unknown:
        parser.error(f"no panel {unknown[0]}; there are {', '.join(PANELS)}")
    print(f"{machine()}; held-out ends")
    with tempfile.TemporaryDirectory() as folder:
        for name in flags.panels:
            if (Path(flags.folder) / PANELS[name][0]).exists():
                judge(name, folder, flags)
            else:
                print(f"\n{name}: no {PANELS[name][0]} in {flags.folder}")


if __name__ == "__main__":
    main()
