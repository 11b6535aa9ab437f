#!/usr/bin/env python3
"""Computes with statsmodels and statsforecast what the tests of src/forecasting are checked against.

    python3 scripts/forecasting_reference.py                  writes tests/data/arima.json, smoothing.json,
                                                              decomposition.json and statistics.json
    python3 scripts/forecasting_reference.py arima smoothing  writes some of them

The packages (scripts/forecasting-packages.txt) are installed in .venv on demand. The series are those of
corpora/series/; run this again after they were changed.

Each file is an object of three keys: `versions` of the packages, `series` (values by name, null where there is none;
a name that ends in "(log)" is that of natural logarithms) and `cases`, a list of objects that name their `series`.

arima.json
    order [p, d, q], seasonal [P, D, Q, m]
    mean                    whether the differenced series has a mean (of the differences: a drift)
    regressors              a list of columns, or null: regression with ARMA errors
    parameters              an object of lists `ar, ma, seasonal_ar, seasonal_ma, regression` and numbers `variance`,
                            `intercept` (c of φ(B)Φ(B) w = c + θ(B)Θ(B) e, w being the differences) and `mean`
                            (c / (φ(1)Φ(1))); null where there is none. Signs: (1 − φ₁B − …), (1 + θ₁B + …)
    log_likelihood          exact Gaussian one of the differenced series at these parameters (stationary start), which
                            are the best of several searches for its maximum
    aicc                    with k = all parameters and the variance, n = known values of the differenced series
    elsewhere               parameters that are no maximum, and the log_likelihood there
    eight steps: forecast, standard_errors (of the undifferenced series, parameters taken as known; the differences'
                            start is diffuse), future_regressors
    last_predictions        one-step-ahead expectations of the last 5 values

smoothing.json: cases by `kind`
    "ets"
        model               as ETS(M,Ad,M) is written: error, trend, season; `season` its length
        parameters          alpha, beta, gamma, phi (null where there is none; innovations form: level + α e, trend +
                            β e, season + γ e, each over what it is divided by), level, trend, seasonal: the state
                            before the first value; `seasonal` begins with the first value's place
        criterion           n ln(Σ ε²), + 2 Σ ln|ŷ| if errors are multiplied (R's −2 log-likelihood, without constant)
        log_likelihood      Gaussian, with constants: −(n/2)(ln(2π Σ ε²/n) + 1), − Σ ln|ŷ| if errors are multiplied
        aicc                of R and statsforecast: criterion + penalty, count parameters = those above, seasonal
                            states but one, and the variance
        residuals           the first and last 3 of ε
        forecast            as errors of 0 give it; of damped trends not that of statsforecast, which counts φ twice
        variance            σ² that the two below are based on
        standard_errors     by formula, null where the season is multiplied; there, `simulated` (within 0.5 %)
        best                the highest log_likelihood that either library found for the form
    "theta"                 `model` (STM: the standard one; OTM, DSTM, DOTM: optimised, dynamic), season, forecast
    "box-cox"               `method` guerrero (season) or loglik, lower, upper, lambda

decomposition.json: cases by `kind`
    "stl"                   period, seasonal, trend, low_pass (windows; degrees are 1, jumps 1), robust, inner and
                            outer iterations; components `trend_component`, `seasonal_component`, and `weights` if robust
    "mstl"                  periods, windows; `trend_component`, `seasonal_components`; every 24th value of each, from the first
    "classical"             additive or multiplicative: `indices` of a season from the first value on
    "strength"              of season and trend by the STL before it (Wang, Smith and Hyndman 2006)

statistics.json: cases by `kind`
    "kpss"                  regression c or ct, lags, statistic, p (interpolated, within 0.01 and 0.1)
    "adf"                   regression n, c or ct, lags, statistic, p (MacKinnon), critical {1 %, 5 %, 10 %}; `chosen` if
                            the lags were chosen by AIC among at most `max_lags`
    "acf"                   lag 0 first; divided by n. "pacf": Durbin–Levinson on these
    "ljung-box"             lags, `fitted` parameters taken off the degrees of freedom, statistic, p
    "differences"           ndiffs (KPSS) and nsdiffs (seasonal strength) as statsforecast counts them, with the season
"""

import csv
import json
import math
import os
import re
import subprocess
import sys
import warnings
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches"))

from pytorch import VENV, venv  # noqa: E402

SERIES = ROOT / "corpora" / "series"
DATA = ROOT / "tests" / "data"
PACKAGES = ROOT / "scripts" / "forecasting-packages.txt"
HORIZON = 8
# Paths that are simulated where there is no formula.
PATHS = 400_000


def column(file, name):
    """Values of a column, None where there is none; days that are missing between dates are put in."""
    with open(SERIES / f"{file}.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    values = [float(row[name]) if row[name] else None for row in rows]
    if file != "gaps":
        return values
    by_date = dict(zip((date.fromisoformat(row["date"]) for row in rows), values))
    first, last = min(by_date), max(by_date)
    return [by_date.get(first + timedelta(day)) for day in range((last - first).days + 1)]


def row(name):
    """Values of a series of the panel."""
    with open(SERIES / "panel.csv", newline="") as lines:
        return [float(value) for value in next(r["values"] for r in csv.DictReader(lines) if r["id"] == name).split()]


def series(name):
    """Values of a series by its name in the files that are written."""
    plain = name.removesuffix(" (log)")
    columns = {
        "monthly": "nights",
        "quarterly": "bricks",
        "daily": "rides",
        "hourly": "kilowatts",
        "yearly": "hares",
        "weather": "ices",
        "gaps": "water",
        "ar2": "value",
        "ma1": "value",
        "walk": "value",
    }
    values = column(plain, columns[plain]) if plain in columns else row(plain)
    if name != plain:
        values = [math.log(value) for value in values]
    return values


def array(name):
    import numpy

    return numpy.array([math.nan if value is None else value for value in series(name)])


# ARIMA

ARIMAS = [
    # name, order, seasonal, mean
    ("monthly (log)", (0, 1, 1), (0, 1, 1, 12), False),
    ("monthly (log)", (2, 0, 0), (0, 1, 1, 12), True),
    ("quarterly", (0, 1, 1), (1, 0, 1, 4), False),
    ("daily", (1, 0, 0), (0, 1, 1, 7), False),
    ("hourly", (1, 0, 1), (0, 1, 1, 24), False),
    ("yearly (log)", (2, 0, 0), (0, 0, 0, 1), True),
    ("yearly (log)", (2, 1, 1), (0, 0, 0, 1), False),
    ("ar2", (2, 0, 0), (0, 0, 0, 1), True),
    ("ar2", (1, 0, 1), (0, 0, 0, 1), True),
    ("ma1", (0, 0, 1), (0, 0, 0, 1), True),
    ("walk", (0, 1, 1), (0, 0, 0, 1), True),
    ("weather", (1, 0, 0), (0, 0, 0, 1), True),
    ("gaps", (1, 0, 0), (1, 0, 0, 7), True),
    ("added-1", (1, 1, 1), (0, 1, 1, 12), False),
]


def structured(names, values):
    """Parameters by their meaning, from statsmodels' names."""
    found = {"ar": [], "ma": [], "seasonal_ar": [], "seasonal_ma": [], "regression": []}
    found.update(variance=None, intercept=None, mean=None)
    kinds = [("ar.S.", "seasonal_ar"), ("ma.S.", "seasonal_ma"), ("ar.", "ar"), ("ma.", "ma")]
    for name, value in zip(names, map(float, values)):
        if name in ("sigma2", "intercept"):
            found["variance" if name == "sigma2" else name] = value
        else:
            kind = next((kind for start, kind in kinds if name.startswith(start)), "regression")
            found[kind].append(value)
    if found["intercept"] is not None:
        found["mean"] = found["intercept"] / ((1 - sum(found["ar"])) * (1 - sum(found["seasonal_ar"])))
    return found


def moved(names, values):
    """Parameters nearer to 0, of the same mean and of more variance."""
    factors = {"sigma2": 1.3, "intercept": 1.0}
    found = [value * factors.get(name, 0.7 if name[:2] in ("ar", "ma") else 1.0) for name, value in zip(names, values)]
    if "intercept" in names:
        before, after = structured(names, values), structured(names, found)
        found[names.index("intercept")] *= before["mean"] / after["mean"]
    return found


def maximum(model):
    """Parameters of the highest likelihood that several searches found."""
    results, start = [], None
    for method in ["lbfgs", "nm", "lbfgs"]:
        options = {"maxiter": 1000, "disp": False}
        if method == "lbfgs":
            options.update(pgtol=1e-12, factr=1.0)
        if method == "nm":
            options.update(xtol=1e-7, ftol=1e-9)
        result = model.fit(start, method=method, cov_type="none", **options)
        results.append(result)
        start = max(results, key=lambda result: result.llf).params
    return start


def arima(name, order, seasonal, mean):
    import numpy
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    values = array(name)
    season = seasonal if seasonal[3] > 1 else (0, 0, 0, 0)
    regressors = future = None
    if name == "weather":
        regressors = column("weather", "temperature")
        future = regressors[:HORIZON]
    form = {
        "order": order,
        "seasonal_order": season,
        "trend": "c" if mean else "n",
        "exog": None if regressors is None else numpy.array(regressors)[:, None],
        "concentrate_scale": False,
    }
    model = SARIMAX(values, simple_differencing=True, **form)
    parameters = maximum(model)
    log_likelihood = model.loglike(parameters)
    elsewhere = moved(model.param_names, parameters)
    whole = SARIMAX(values, simple_differencing=False, use_exact_diffuse=True, **form).filter(parameters)
    ahead = whole.get_forecast(HORIZON, exog=None if future is None else numpy.array(future)[:, None])
    if order[1] + season[1] == 0 or not numpy.isnan(values).any():
        check_forecast(model, parameters, values, order[1], season, ahead.predicted_mean, future)
    known = int(numpy.isfinite(model.endog).sum())
    count = len(parameters)
    return {
        "series": name,
        "order": list(order),
        "seasonal": list(seasonal),
        "mean": mean,
        "regressors": None if regressors is None else [regressors],
        "parameters": structured(model.param_names, parameters),
        "log_likelihood": log_likelihood,
        "aicc": -2 * log_likelihood + 2 * count * known / (known - count - 1),
        "elsewhere": {
            "parameters": structured(model.param_names, elsewhere),
            "log_likelihood": model.loglike(elsewhere),
        },
        "forecast": ahead.predicted_mean,
        "standard_errors": ahead.se_mean,
        "future_regressors": None if future is None else [future],
        "last_predictions": whole.fittedvalues[-5:],
    }


def check_forecast(model, parameters, values, d, season, forecast, future):
    """Adds the forecasts of the differences up: they have to be those of the model with the differences in its state."""
    import numpy

    exog = None if future is None else numpy.array(future)[:, None]
    steps = model.filter(parameters).get_forecast(HORIZON, exog=exog).predicted_mean
    operator = numpy.array([1.0])
    for _ in range(d):
        operator = numpy.convolve(operator, [1, -1])
    for _ in range(season[1]):
        operator = numpy.convolve(operator, [1] + [0] * (season[3] - 1) + [-1])
    past = list(values)
    for step in steps:
        past.append(step - sum(c * past[-lag] for lag, c in enumerate(operator) if lag))
    assert numpy.allclose(past[-HORIZON:], forecast, rtol=1e-6), (past[-HORIZON:], forecast)


# Exponential smoothing

FORMS = [
    ("monthly", 12, "MAM"),
    ("monthly", 12, "MAdM"),
    ("monthly", 12, "MNM"),
    ("monthly (log)", 12, "AAA"),
    ("quarterly", 4, "ANA"),
    ("quarterly", 4, "AAdA"),
    ("quarterly", 4, "MAA"),
    ("walk", 1, "AAN"),
    ("ma1", 1, "ANN"),
    ("damped", 1, "AAdN"),
    ("curved", 1, "MAN"),
    ("curved", 1, "MAdN"),
    ("step", 1, "MNN"),
]
THETAS = [("monthly", 12), ("quarterly", 4), ("walk", 1), ("curved", 1), ("ma1", 1)]
BOX_COX = [("monthly", 12), ("quarterly", 4), ("yearly", 1), ("curved", 1)]


def filtered(values, model, season, p):
    """Relative or plain errors, and expectations, of innovations state space models (Hyndman et al. 2008, table 2.2).

    A value that is None is what was expected, so that the steps after the last one are its forecasts.
    """
    multiplied, trended, kind = model[0] == "M", model[1] == "A", model[-1]
    phi = p["phi"] if p["phi"] is not None else 1.0
    level, trend = p["level"], p["trend"] if trended else 0.0
    seasonal = list(p["seasonal"] or [])
    errors, expected = [], []
    for t, value in enumerate(values):
        base = level + phi * trend
        place = seasonal[t % season] if seasonal else None
        one = base if place is None else base + place if kind == "A" else base * place
        error = 0.0 if value is None else value - one
        expected.append(one)
        errors.append(error / one if multiplied else error)
        for_base = error / place if kind == "M" else error
        level = base + p["alpha"] * for_base
        trend = phi * trend + (p["beta"] or 0.0) * for_base
        if place is not None:
            seasonal[t % season] = place + p["gamma"] * (error / base if kind == "M" else error)
    return errors, expected


def likelihoods(values, model, errors, expected):
    """R's criterion, and the Gaussian log-likelihood."""
    n = len(values)
    square = sum(error * error for error in errors)
    logs = sum(math.log(abs(one)) for one in expected) if model[0] == "M" else 0.0
    return n * math.log(square) + 2 * logs, -n / 2 * (math.log(2 * math.pi * square / n) + 1) - logs


def variances(model, season, p, variance, expected):
    """Variances of forecasts (Hyndman et al. 2008, chapter 6), None where season is multiplied: there is no simple formula."""
    if model[-1] == "M":
        return None
    phi = p["phi"] if p["phi"] is not None else 1.0
    weights = []
    for j in range(1, len(expected)):
        weight = p["alpha"] + (p["beta"] or 0.0) * sum(phi**i for i in range(1, j + 1))
        weights.append(weight + (p["gamma"] if p["gamma"] and j % season == 0 else 0.0))
    if model[0] == "A":
        return [variance * (1 + sum(weight**2 for weight in weights[:h])) for h in range(len(expected))]
    squares = []
    for h, mean in enumerate(expected):
        earlier = sum(weights[j] ** 2 * squares[h - 1 - j] for j in range(h))
        squares.append(mean**2 + variance * earlier)
    return [(1 + variance) * square - mean**2 for square, mean in zip(squares, expected)]


def simulated(found, model, season, p):
    """Deviations of many paths, where the season is multiplied."""
    import numpy

    if model[-1] != "M":
        return None
    numbers = numpy.random.default_rng(1)
    state = found["states"][-1]
    trended = model[1] == "A"
    phi = p["phi"] if p["phi"] is not None else 1.0
    level, trend = numpy.full(PATHS, state[0]), numpy.full(PATHS, state[1] if trended else 0.0)
    places = [numpy.full(PATHS, value) for value in state[1 + trended :][::-1]]
    deviations = []
    for t in range(HORIZON):
        error = numbers.normal(0, math.sqrt(found["sigma2"]), PATHS)
        base, place = level + phi * trend, places[t % season]
        deviations.append((base * place * (1 + error)).std())
        level = base * (1 + p["alpha"] * error)
        trend = phi * trend + (p["beta"] or 0.0) * base * error
        places[t % season] = place * (1 + p["gamma"] * error)
    return deviations


def ets(name, season, form):
    import numpy
    from statsforecast.ets import ets_f, pegelsfcast_C

    values = array(name)
    damped = "d" in form
    model = form.replace("d", "")
    found = ets_f(values, season, model=model, damped=damped)
    assert found["components"] == model + ("D" if damped else "N"), found["components"]
    trended, seasonal = model[1] == "A", model[2] != "N"
    start = [float(value) for value in found["states"][0]]
    alpha, beta, gamma, phi = (float(value) for value in found["par"][:4])
    parameters = {
        "alpha": alpha,
        "beta": beta if trended else None,
        "gamma": gamma if seasonal else None,
        "phi": phi if damped else None,
        "level": start[0],
        "trend": start[1] if trended else None,
        # The state has the newest place first.
        "seasonal": start[1 + trended :][::-1] if seasonal else None,
    }
    errors, expected = filtered(values, model, season, parameters)
    criterion, log_likelihood = likelihoods(values, model, errors, expected)
    assert numpy.isclose(criterion, -2 * found["loglik"], rtol=1e-9), (criterion, -2 * found["loglik"])
    forecast = filtered([*values, *[None] * HORIZON], model, season, parameters)[1][len(values) :]
    # From the second step on statsforecast adds up a damped trend as φ + φ + φ² + …, for φ + φ² + φ³ + …
    steps = 1 if damped else HORIZON
    assert numpy.allclose(pegelsfcast_C(HORIZON, found)[:steps], forecast[:steps], rtol=1e-9)
    ahead = variances(model, season, parameters, float(found["sigma2"]), forecast)
    theirs = statsmodels_ets(values, model, damped, season)
    return {
        "kind": "ets",
        "series": name,
        "model": f"ETS({model[0]},{model[1]}{'d' if damped else ''},{model[2]})",
        "season": season,
        "parameters": parameters,
        "criterion": criterion,
        "log_likelihood": log_likelihood,
        "aicc": float(found["aicc"]),
        "residuals": errors[:3] + errors[-3:],
        "forecast": forecast,
        "variance": float(found["sigma2"]),
        "standard_errors": ahead and [math.sqrt(variance) for variance in ahead],
        "simulated": simulated(found, model, season, parameters),
        "best": max(log_likelihood, theirs),
    }


def statsmodels_ets(values, model, damped, season):
    """Highest log-likelihood that statsmodels finds."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    words = {"A": "add", "M": "mul", "N": None}
    seasonal = words[model[2]]
    options = {"seasonal": seasonal, "seasonal_periods": season} if seasonal else {}
    form = ETSModel(values, error=words[model[0]], trend=words[model[1]], damped_trend=damped, **options)
    return float(form.fit(disp=False, maxiter=5000).llf)


def theta(name, season, model):
    from statsforecast.theta import auto_theta, forecast_theta

    found = auto_theta(array(name), season, model=model)
    forecast = forecast_theta(found, HORIZON)["mean"]
    parameters = {key: float(value) for key, value in found["par"].items()}
    return {
        "kind": "theta",
        "series": name,
        "model": model,
        "season": season,
        "parameters": parameters,
        "forecast": forecast,
    }


def box_cox(name, season, method):
    from coreforecast.scalers import boxcox_lambda

    lower, upper = -0.9, 2.0
    options = {"season_length": max(season, 2)} if method == "guerrero" else {}
    found = boxcox_lambda(array(name), method=method, lower=lower, upper=upper, **options)
    return {
        "kind": "box-cox",
        "series": name,
        "method": method,
        "season": options.get("season_length"),
        "lower": lower,
        "upper": upper,
        "lambda": float(found),
    }


# Decomposition


def stl(name, period, seasonal, robust):
    from statsmodels.tsa.seasonal import STL

    model = STL(array(name), period=period, seasonal=seasonal, robust=robust)
    inner, outer = (2, 15) if robust else (5, 0)
    found = model.fit(inner_iter=inner, outer_iter=outer)
    return {
        "kind": "stl",
        "series": name,
        "period": period,
        "seasonal": model.config["seasonal"],
        "trend": model.config["trend"],
        "low_pass": model.config["low_pass"],
        "robust": robust,
        "inner": inner,
        "outer": outer,
        "trend_component": found.trend,
        "seasonal_component": found.seasonal,
        "weights": found.weights if robust else None,
    }, found


def strength(name, period, found):
    """Of season and trend: how much of the variance they take away."""

    def of(part):
        return max(0.0, 1 - found.resid.var() / (found.resid + part).var())

    return {
        "kind": "strength",
        "series": name,
        "period": period,
        "season": of(found.seasonal),
        "trend": of(found.trend),
    }


def mstl(name, periods):
    from statsmodels.tsa.seasonal import MSTL

    model = MSTL(array(name), periods=periods)
    found = model.fit()
    return {
        "kind": "mstl",
        "series": name,
        "periods": list(model.periods),
        "windows": list(model.windows),
        "every": 24,
        "trend_component": found.trend[::24],
        "seasonal_components": [found.seasonal[::24, place] for place in range(len(periods))],
    }


def classical(name, period, kind):
    from statsmodels.tsa.seasonal import seasonal_decompose

    found = seasonal_decompose(array(name), model=kind, period=period)
    return {
        "kind": "classical",
        "series": name,
        "period": period,
        "model": kind,
        "indices": found.seasonal[:period],
    }


# Statistics


def kpss(name, regression, lags):
    from statsmodels.tsa.stattools import kpss as test

    statistic, p, used, _ = test(array(name), regression=regression, nlags=lags)
    return {
        "kind": "kpss",
        "series": name,
        "regression": regression,
        "lags": int(used),
        "statistic": statistic,
        "p": p,
    }


def adf(name, regression, lags=None):
    """With the number of lags given, or chosen by AIC."""
    from statsmodels.tsa.stattools import adfuller

    values = array(name)
    chosen = lags is None
    # Schwert's rule, which is statsmodels' own.
    limit = math.ceil(12 * (len(values) / 100) ** 0.25) if chosen else lags
    found = adfuller(values, maxlag=limit, regression=regression, autolag="AIC" if chosen else None)
    return {
        "kind": "adf",
        "series": name,
        "regression": regression,
        "chosen": chosen,
        "max_lags": limit,
        "lags": int(found[2]),
        "statistic": found[0],
        "p": found[1],
        "critical": [found[4][level] for level in ("1%", "5%", "10%")],
    }


def correlations(name, lags):
    from statsmodels.tsa.stattools import acf, pacf

    values = array(name)
    return [
        {"kind": "acf", "series": name, "values": acf(values, nlags=lags, fft=False)},
        {"kind": "pacf", "series": name, "values": pacf(values, nlags=lags, method="ldb")},
    ]


def ljung_box(name, lags, fitted):
    from statsmodels.stats.diagnostic import acorr_ljungbox

    values = array(name)
    found = acorr_ljungbox(values, lags=[lags], model_df=fitted)
    return {
        "kind": "ljung-box",
        "series": name,
        "lags": lags,
        "fitted": fitted,
        "statistic": float(found["lb_stat"].iloc[0]),
        "p": float(found["lb_pvalue"].iloc[0]),
    }


def differences(name, season):
    from statsforecast.arima import ndiffs, nsdiffs

    values = left = array(name)
    seasonal = int(nsdiffs(values, period=season)) if season > 1 else 0
    for _ in range(seasonal):
        left = left[season:] - left[:-season]
    return {
        "kind": "differences",
        "series": name,
        "season": season,
        "seasonal": seasonal,
        "plain": int(ndiffs(left)),
    }


# Files


def arima_cases():
    return [arima(*case) for case in ARIMAS]


def smoothing_cases():
    cases = [ets(*form) for form in FORMS]
    cases += [theta(name, season, model) for name, season in THETAS for model in ("STM", "OTM", "DSTM", "DOTM")]
    cases += [box_cox(name, season, "guerrero") for name, season in BOX_COX]
    cases += [box_cox(name, season, "loglik") for name, season in BOX_COX]
    return cases


def decomposition_cases():
    cases = []
    for name, period, seasonal, robust in [
        ("monthly (log)", 12, 13, False),
        ("monthly (log)", 12, 7, True),
        ("quarterly", 4, 11, False),
        ("outlier", 7, 7, True),
    ]:
        case, found = stl(name, period, seasonal, robust)
        cases += [case, strength(name, period, found)]
    cases.append(mstl("hourly", (24, 168)))
    cases += [classical("monthly", 12, "multiplicative"), classical("quarterly", 4, "additive")]
    return cases


def statistics_cases():
    cases = []
    for name in ("walk", "ar2", "yearly (log)", "monthly (log)", "trend-1"):
        count = len(series(name))
        # The lags of R's tseries, and those of statsmodels' older rule.
        for lags in (int(3 * math.sqrt(count) / 13), math.ceil(12 * (count / 100) ** 0.25)):
            cases += [kpss(name, regression, lags) for regression in ("c", "ct")]
        cases += [adf(name, regression, lags) for regression in ("n", "c", "ct") for lags in (1, 4)]
        cases += [adf(name, regression) for regression in ("c", "ct")]
    for name in ("ar2", "ma1", "monthly (log)", "walk"):
        cases += correlations(name, 24)
        cases += [ljung_box(name, 10, 0), ljung_box(name, 24, 2)]
    seasons = {"monthly": 12, "monthly (log)": 12, "quarterly": 4, "daily": 7, "hourly": 24}
    for name in ("monthly", "monthly (log)", "quarterly", "daily", "hourly", "ar2", "ma1", "walk", "yearly", "trend-1"):
        cases.append(differences(name, seasons.get(name, 1)))
    return cases


FILES = {
    "arima": arima_cases,
    "smoothing": smoothing_cases,
    "decomposition": decomposition_cases,
    "statistics": statistics_cases,
}


def plain(found):
    """What json can write: lists for arrays, null for what is no number."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)) or hasattr(found, "tolist"):
        items = found.tolist() if hasattr(found, "tolist") else found
        return [plain(item) for item in items] if isinstance(items, (list, tuple)) else plain(items)
    return None if isinstance(found, float) and not math.isfinite(found) else found


def text(content):
    """JSON with each list of numbers on a line of its own."""
    wide = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[[-+.\deE,\snul]*\]", lambda found: " ".join(found[0].split()), wide) + "\n"


def write(name):
    import numpy
    import scipy
    import statsforecast
    import statsmodels.api

    # KPSS says when p is beyond its table, searches when they stop early. statsmodels wants its warnings shown.
    warnings.simplefilter("ignore")
    cases = FILES[name]()
    used = sorted({case["series"] for case in cases})
    content = {
        "versions": {module.__name__: module.__version__ for module in (statsmodels, statsforecast, scipy, numpy)},
        "series": {name: series(name) for name in used},
        "cases": cases,
    }
    DATA.mkdir(exist_ok=True)
    (DATA / f"{name}.json").write_text(text(content))
    print(f"{name}.json: {len(cases)} cases", flush=True)


def main(names):
    unknown = [name for name in names if name not in FILES]
    if unknown:
        sys.exit(f"there is no file {unknown[0]}; there are {', '.join(FILES)}")
    python = venv("statsmodels, statsforecast", ("-r", str(PACKAGES)))
    if os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        sys.exit(subprocess.run([python, __file__, *names]).returncode)
    for name in names or FILES:
        write(name)


if __name__ == "__main__":
    main(sys.argv[1:])
