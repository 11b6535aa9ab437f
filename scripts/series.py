#!/usr/bin/env python3
"""Makes the series of numbers in corpora/series/, every time the same.

    python3 scripts/series.py            writes them
    python3 scripts/series.py --check    compares what is there with what would be written; exit code 1 if it differs
    python3 scripts/series.py -o DIR     writes them, or with --check looks for them, elsewhere

corpora/series/README.md says what each file is. A change here changes the series, and with them the figures that
scripts/forecasting_reference.py has computed from them.
"""

import argparse
import datetime
import math
import random
import sys
from pathlib import Path
from statistics import NormalDist

FOLDER = Path(__file__).resolve().parent.parent / "corpora" / "series"
NORMAL = NormalDist()


class Noise:
    """Independent numbers of a seed: the same with every version of Python, which random.gauss does not promise."""

    def __init__(self, seed):
        self.numbers = random.Random(seed)

    def uniform(self):
        """A number between 0 and 1, never 0 itself."""
        return self.numbers.random() or 0.5

    def normal(self, deviation=1.0):
        return deviation * NORMAL.inv_cdf(self.uniform())


def arma(noise, count, ar=(), ma=(), deviation=1.0):
    """A stationary series of mean 0 by the signs of y[t] = ar·y[t-1] + … + e[t] + ma·e[t-1] + …"""
    values, errors = [], []
    for _ in range(count + 200):
        errors.append(noise.normal(deviation))
        value = errors[-1]
        value += sum(a * b for a, b in zip(ar, reversed(values)))
        value += sum(a * b for a, b in zip(ma, reversed(errors[:-1])))
        values.append(value)
    return values[200:]


def total(steps, start=0.0):
    """Running sums: a random walk, if the steps are noise."""
    sums = []
    for step in steps:
        start += step
        sums.append(start)
    return sums


def changing_season(noise, pattern, count, deviation):
    """The pattern over and over, each place in it a random walk of its own."""
    places = list(pattern)
    values = []
    for index in range(count):
        place = index % len(places)
        places[place] += noise.normal(deviation)
        values.append(places[place])
    return values


def months(year, count):
    return [f"{year + index // 12}-{index % 12 + 1:02}" for index in range(count)]


def quarters(year, count):
    return [f"{year + index // 4}-{index % 4 * 3 + 1:02}" for index in range(count)]


def days(first, count):
    start = datetime.date.fromisoformat(first)
    return [start + datetime.timedelta(index) for index in range(count)]


def table(columns):
    """Text of a CSV file of named columns."""
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values())]
    return "\n".join(lines) + "\n"


def panel(series):
    """Text of a CSV file with a series a row."""
    lines = ["id,values"]
    lines += [f"{name}," + " ".join(map(str, values)) for name, values in series.items()]
    return "\n".join(lines) + "\n"


def monthly():
    """Nights spent in a town's guest houses: trend and season are multiplied."""
    noise, count = Noise(1), 144
    pattern = [-0.28, -0.22, -0.1, 0.02, 0.06, 0.2, 0.36, 0.34, 0.1, -0.06, -0.24, -0.18]
    season = changing_season(noise, pattern, count, 0.02)
    level = total((0.006 + noise.normal(0.02) for _ in range(count)), 8.1)
    values = [round(math.exp(a + b + noise.normal(0.025))) for a, b in zip(level, season)]
    return table({"date": months(2012, count), "nights": values})


def quarterly():
    """Bricks, in thousands: a season that is added to a level that wanders."""
    noise, count = Noise(2), 100
    season = changing_season(noise, [-28.0, 14.0, 26.0, -12.0], count, 3.5)
    level = total((0.6 + noise.normal(7.0) for _ in range(count)), 410.0)
    values = [round(a + b + noise.normal(6.0), 1) for a, b in zip(level, season)]
    return table({"date": quarters(1998, count), "bricks": values})


def daily():
    """Rides on a town's buses, with the kind of day: working day, Saturday, Sunday or holiday."""
    noise, count = Noise(3), 1096
    holidays = {(1, 1), (5, 1), (8, 15), (11, 1), (12, 25), (12, 26)}
    dates = days("2021-01-01", count)
    kinds = []
    for date in dates:
        free = date.weekday() == 6 or (date.month, date.day) in holidays
        kinds.append("holiday" if free else "saturday" if date.weekday() == 5 else "working")
    weekdays = [0.02, 0.05, 0.06, 0.05, 0.0, -0.32, -0.61]
    weather = arma(noise, count, ar=[0.7], deviation=0.035)
    level = total((noise.normal(0.006) for _ in range(count)), 9.4)
    rides = []
    for index, (date, kind) in enumerate(zip(dates, kinds)):
        week = weekdays[6] if kind == "holiday" else weekdays[date.weekday()]
        year = 0.09 * math.cos(2 * math.pi * (date.timetuple().tm_yday - 330) / 365.25)
        rides.append(round(math.exp(level[index] + week + year + weather[index])))
    return table({"date": dates, "day": kinds, "rides": rides})


def hourly():
    """Electricity of a village, in kilowatts, over six weeks: the day and the week are both seasons."""
    noise, count = Noise(4), 6 * 168
    start = datetime.datetime(2024, 3, 4)
    dates = [start + datetime.timedelta(hours=index) for index in range(count)]
    rest = arma(noise, count, ar=[0.85], deviation=9.0)
    season = changing_season(noise, [0.0] * 24, count, 4.0)
    values = []
    for index, date in enumerate(dates):
        angle = 2 * math.pi * date.hour / 24
        day = -90 * math.cos(angle) - 35 * math.sin(angle) - 40 * math.cos(2 * angle)
        if date.weekday() > 4:
            day = 0.7 * day - 45 + 20 * math.cos(3 * angle)
        values.append(round(420 + 0.02 * index + day + season[index] + rest[index], 1))
    return table({"date": [date.strftime("%Y-%m-%d %H:%M") for date in dates], "kilowatts": values})


def yearly():
    """Hares counted in a valley: cycles of about ten years, never of the same length nor height."""
    noise, count = Noise(20), 130
    values = [round(math.exp(6.6 + x)) for x in arma(noise, count, ar=[1.35, -0.77], deviation=0.42)]
    return table({"year": range(1890, 1890 + count), "hares": values})


def ar2():
    values = [round(20 + x, 3) for x in arma(Noise(12), 200, ar=[0.5, 0.3], deviation=2.0)]
    return table({"value": values})


def ma1():
    values = [round(5 + x, 3) for x in arma(Noise(7), 200, ma=[0.6], deviation=1.5)]
    return table({"value": values})


def walk():
    noise = Noise(14)
    return table({"value": [round(x, 3) for x in total((0.3 + noise.normal() for _ in range(250)), 50)]})


def weather():
    """Ice sold at a kiosk, and the temperature that explains most of it: for regression with errors that go on."""
    noise, count = Noise(9), 180
    swing = arma(noise, count, ar=[0.6], deviation=2.2)
    rest = arma(noise, count, ar=[0.65], deviation=11.0)
    dates = days("2023-04-03", count)
    warmth = [16 + 7 * math.sin(math.pi * index / count) + x for index, x in enumerate(swing)]
    temperatures = [round(x, 1) for x in warmth]
    ices = [round(40 + 9.5 * a + b) for a, b in zip(temperatures, rest)]
    return table({"date": dates, "temperature": temperatures, "ices": ices})


def gaps():
    """Water of a mill, in cubic metres a day: days without a value, and days that are not there at all."""
    noise, count = Noise(10), 280
    pattern = [14.0, 15.0, 12.0, 13.0, 9.0, -25.0, -38.0]
    season = changing_season(noise, pattern, count, 0.8)
    rest = arma(noise, count, ar=[0.6], deviation=7.0)
    rows = {"date": [], "water": []}
    for index, date in enumerate(days("2023-09-04", count)):
        value = round(180 + season[index] + rest[index], 1)
        # A week of repairs, and single days here and there.
        if 100 <= index < 107 or noise.uniform() < 0.04:
            continue
        rows["date"].append(date)
        rows["water"].append("" if noise.uniform() < 0.04 else value)
    return table(rows)


def kinds():
    """Twenty-four series of different kinds, from the ordinary to those that break a program."""
    series = {}
    for number, (slope, swing) in enumerate([(0.01, 0.3), (0.004, 0.15), (-0.005, 0.4), (0.0, 0.25)], 1):
        noise, count = Noise(100 + number), 72 + 12 * number
        pattern = [swing * math.sin(2 * math.pi * month / 12 + number) for month in range(12)]
        season = changing_season(noise, pattern, count, 0.02)
        level = total((slope + noise.normal(0.02) for _ in range(count)), 6 + 0.5 * number)
        series[f"multiplied-{number}"] = [round(math.exp(a + b)) for a, b in zip(level, season)]
    for number, swing in enumerate([40.0, 15.0, 90.0], 1):
        noise, count = Noise(110 + number), 96
        pattern = [swing * math.cos(2 * math.pi * month / 12) for month in range(12)]
        season = changing_season(noise, pattern, count, swing / 15)
        level = total((noise.normal(6.0) for _ in range(count)), 300.0 * number)
        series[f"added-{number}"] = [round(a + b + noise.normal(4.0), 1) for a, b in zip(level, season)]
    for number, slope in enumerate([2.0, -1.5], 1):
        noise = Noise(120 + number)
        series[f"trend-{number}"] = [round(400 + slope * t + noise.normal(8.0), 1) for t in range(80)]
    noise = Noise(123)
    series["damped"] = [round(900 - 500 * 0.95**t + noise.normal(9.0), 1) for t in range(90)]
    noise = Noise(124)
    series["curved"] = [round(100 * 1.03**t * math.exp(noise.normal(0.03)), 1) for t in range(84)]
    for number, deviation in enumerate([1.0, 5.0], 1):
        noise = Noise(130 + number)
        series[f"walk-{number}"] = [round(x, 2) for x in total((noise.normal(deviation) for _ in range(100)), 200)]
    for number, (ar, ma) in enumerate([([0.8], []), ([-0.5], []), ([0.7], [0.4]), ([], [-0.6])], 1):
        values = arma(Noise(140 + number), 100, ar, ma, 3.0)
        series[f"stationary-{number}"] = [round(50 + x, 2) for x in values]
    series["below-zero"] = [round(x - 30, 2) for x in arma(Noise(150), 90, ar=[0.6], deviation=12.0)]
    noise = Noise(151)
    series["now-and-then"] = [round(20 * noise.uniform()) if noise.uniform() < 0.25 else 0 for _ in range(96)]
    noise = Noise(152)
    series["step"] = [round((100 if t < 50 else 160) + noise.normal(4.0), 1) for t in range(90)]
    noise = Noise(153)
    series["outlier"] = [round(80 + noise.normal(3.0) + (250 if t == 61 else 0), 1) for t in range(90)]
    series["straight"] = [3 * t + 10 for t in range(60)]
    series["constant"] = [42] * 60
    series["short"] = [12, 15, 11]
    return panel(series)


def halving():
    """y[n] = y[n-1]/2 if that is even, else 3·y[n-1]+1: the first 61 values, of starts that do not reach 1 before."""
    series = {}
    for start in range(2, 240):
        values = [start]
        while len(values) < 61 and values[-1] > 1:
            values.append(values[-1] // 2 if values[-1] % 2 == 0 else 3 * values[-1] + 1)
        if values[-1] > 1:
            series[start] = values
    return panel(series)


FILES = {
    "monthly.csv": monthly,
    "quarterly.csv": quarterly,
    "daily.csv": daily,
    "hourly.csv": hourly,
    "yearly.csv": yearly,
    "ar2.csv": ar2,
    "ma1.csv": ma1,
    "walk.csv": walk,
    "weather.csv": weather,
    "gaps.csv": gaps,
    "panel.csv": kinds,
    "halving.csv": halving,
}


def differs(path, text):
    """Whether a file is not there, or is not this text."""
    return not path.exists() or path.read_bytes() != text.encode()


def main():
    parser = argparse.ArgumentParser(description="Makes the series of numbers in corpora/series/.")
    parser.add_argument("--check", action="store_true", help="compare with what is there, and write nothing")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR")
    flags = parser.parse_args()
    texts = {flags.output / name: make() for name, make in FILES.items()}
    if flags.check:
        wrong = [path for path, text in texts.items() if differs(path, text)]
        wrong += sorted(set(flags.output.glob("*.csv")) - set(texts))
        for path in wrong:
            print(f"{path} is not what scripts/series.py makes")
        sys.exit(1 if wrong else 0)
    flags.output.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_bytes(text.encode())


if __name__ == "__main__":
    main()
