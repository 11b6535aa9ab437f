"""carousel: generate, score, classify and translate texts with recurrent networks, and forecast numbers.

`load` opens a model, by its folder or its name, as a `Writer`, a `Classifier`, a `Translator` or a `Forecaster`; `forecast`
needs none.
The answers are those of the commands of the program `carousel`, defaults included.
"""

from ._carousel import (
    Classification,
    Classifier,
    Error,
    Forecast,
    Forecaster,
    Score,
    Text,
    Translation,
    Translator,
    Writer,
    __version__,
    forecast,
    load,
)

__all__ = [
    "Classification",
    "Classifier",
    "Error",
    "Forecast",
    "Forecaster",
    "Score",
    "Text",
    "Translation",
    "Translator",
    "Writer",
    "__version__",
    "forecast",
    "load",
]
