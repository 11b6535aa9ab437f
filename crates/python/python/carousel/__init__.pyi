"""carousel: generate, score, classify and translate texts with recurrent networks, and forecast numbers."""

from collections.abc import Sequence
from os import PathLike
from typing import Literal, final

from numpy import float32, float64, uint32
from numpy.typing import ArrayLike, NDArray

__all__: list[str]
__version__: str

Precision = Literal["auto", "f32", "bf16", "int8"]
Method = Literal[
    "auto", "combination", "naive", "seasonal-naive", "drift", "mean", "ses", "holt", "holt-winters", "ets", "theta", "ar",
    "ma", "arma", "arima", "sarima",
]  # fmt: skip

class Error(Exception):
    """The work failed: a model that is not there or is damaged, a file that cannot be read, values that cannot be forecast.

    What was asked for wrongly is a ValueError instead.
    """

def load(
    model: str | PathLike[str], *, precision: Precision | None = None, threads: int | None = None
) -> Writer | Classifier | Translator | Forecaster:
    """Open a model, by its folder or its name: what comes depends on the task that it was trained for.

    precision is that of the commands by default; threads is the most threads that it computes with, by default one for each
    core, 8 at most. Results do not depend on it. A forecaster takes neither.
    """

@final
class Writer:
    """A language model: it generates text and scores it. Threads may share it."""

    @staticmethod
    def load(
        model: str | PathLike[str], *, precision: Precision | None = None, threads: int | None = None
    ) -> Writer:
        """Open a language model, by its folder or its name; another kind of model is an Error."""
    @property
    def name(self) -> str:
        """Name of the model."""
    @property
    def vocab_size(self) -> int:
        """Number of tokens in the vocabulary."""
    @property
    def line_end(self) -> int:
        """The id of the end of a line, after which texts begin."""
    def generate(
        self,
        prompt: str = "",
        *,
        length: int | None = None,
        temperature: float | None = 0.9,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = 0.02,
        repeat_penalty: float | None = None,
        stop: str | list[str] | None = None,
        seed: int | None = None,
        samples: int = 1,
    ) -> list[Text]:
        """Generate continuations of a prompt, as `carousel generate` does: one for each of the samples.

        length is the number of tokens, by default 120 words or subwords, or 500 characters or bytes. Temperature 0 always
        takes the most probable token. top_k, top_p and min_p limit the tokens that are chosen from. A text ends before a
        string of stop. The same seed gives the same text; without one it is random.
        """
    def score(self, text: str) -> Score:
        """Score a text, as `carousel score` does: how probable it and its tokens are."""
    def tokenize(self, text: str) -> NDArray[uint32]:
        """The token ids of a text."""
    def tokenize_all(self, texts: Sequence[str]) -> list[NDArray[uint32]]:
        """Those of several texts, which takes less time."""
    def detokenize(self, ids: ArrayLike) -> str:
        """The text of token ids."""
    def logits(self, ids: ArrayLike) -> NDArray[float32]:
        """The logits of the next token after each of these ids, [ids, vocab_size], in float32 as for score.

        The first id is the first that is read; texts begin after line_end, which is then to be put before them.
        """

@final
class Text:
    """A text that was generated; str() gives the text itself."""

    @property
    def text(self) -> str:
        """The text, without the prompt."""
    @property
    def tokens(self) -> int:
        """Number of its tokens."""
    @property
    def finish_reason(self) -> Literal["length", "stop", "exhausted"]:
        """Why it ended: it has its length, a string of stop came, or no token can follow."""
    @property
    def seed(self) -> int:
        """The seed by which it is generated again as the first of its samples."""

@final
class Score:
    """How probable a text is under a model."""

    @property
    def tokens(self) -> list[str]:
        """The tokens, as text."""
    @property
    def log_probabilities(self) -> NDArray[float64]:
        """The natural logarithm of the probability of each token."""
    @property
    def log_probability(self) -> float:
        """That of the whole text."""
    @property
    def loss(self) -> float:
        """Mean negative log likelihood of a token, in nats."""
    @property
    def perplexity(self) -> float:
        """exp(loss)."""
    @property
    def bits_per_character(self) -> float:
        """Bits for each character."""
    @property
    def unknown(self) -> list[str]:
        """The words, or characters, that the vocabulary does not have."""

@final
class Classifier:
    """A classifier: it labels texts. Threads may share it."""

    @staticmethod
    def load(
        model: str | PathLike[str], *, precision: Precision | None = None, threads: int | None = None
    ) -> Classifier:
        """Open a classifier, by its folder or its name; another kind of model is an Error."""
    @property
    def name(self) -> str:
        """Name of the model."""
    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the model's outputs."""
    def classify(self, texts: str | Sequence[str], *, threshold: float | None = None) -> list[Classification]:
        """Classify one text, or several, as `carousel classify` does: one answer for each text.

        Below the probability threshold, if one is given, an answer is marked as unsure.
        """
    def tokenize(self, text: str) -> NDArray[uint32]:
        """The token ids of a text. What classify changes in a text before it is not done."""
    def tokenize_all(self, texts: Sequence[str]) -> list[NDArray[uint32]]:
        """Those of several texts, which takes less time."""

@final
class Classification:
    """A text's label."""

    @property
    def label(self) -> str:
        """The most probable label."""
    @property
    def probability(self) -> float:
        """Its probability."""
    @property
    def probabilities(self) -> dict[str, float]:
        """The probability of each label."""
    @property
    def unsure(self) -> bool:
        """Whether the label is not to be trusted."""
    @property
    def reason(self) -> str | None:
        """Why not, or None."""

@final
class Translator:
    """A translator: it translates texts from one language to another. Threads may share it."""

    @staticmethod
    def load(
        model: str | PathLike[str], *, precision: Precision | None = None, threads: int | None = None
    ) -> Translator:
        """Open a translator, by its folder or its name; another kind of model is an Error."""
    @property
    def name(self) -> str:
        """Name of the model."""
    def translate(
        self, texts: str | Sequence[str], *, beam: int | None = 5, length_penalty: float | None = 1.0
    ) -> list[Translation]:
        """Translate one text, or several, as `carousel translate` does: one translation for each text.

        A text is a line of one or more sentences. beam is the number of translations that are followed at once;
        length_penalty is how much long ones are favoured, from 0 to 10.
        """
    def tokenize(self, text: str) -> NDArray[uint32]:
        """The token ids of a text that is to be translated."""
    def tokenize_all(self, texts: Sequence[str]) -> list[NDArray[uint32]]:
        """Those of several texts, which takes less time."""

@final
class Translation:
    """A text's translation; str() gives the text itself."""

    @property
    def text(self) -> str:
        """The translation."""
    @property
    def score(self) -> float:
        """What translations are ranked by: the logarithm of the probability, divided by what the length penalty makes of
        the length; the higher the better."""
    @property
    def log_probability(self) -> float:
        """Natural logarithm of the probability."""

@final
class Forecaster:
    """Models of series of numbers, which `carousel forecast -o` has kept in a folder. Threads may share it."""

    @staticmethod
    def load(model: str | PathLike[str]) -> Forecaster:
        """Open a forecaster, by its folder; another kind of model is an Error."""
    @property
    def name(self) -> str:
        """Name of the folder."""
    @property
    def series(self) -> list[str]:
        """Names of the series."""
    def forecast(
        self, values: ArrayLike | None = None, horizon: int | None = None, *, file: str | PathLike[str] | None = None
    ) -> list[Forecast]:
        """Forecast the next values, as `carousel forecast -m` does: one Forecast for each series and model.

        values are numbers after those of a single series without dates; file is a CSV with new rows of any series. They are
        not kept. horizon is the number of steps, by default that of the command which made the forecaster. What cannot be
        forecast, or has no model, is a UserWarning.
        """

@final
class Forecast:
    """The next values of a series."""

    @property
    def series(self) -> str:
        """Name of the series; "values" of numbers that were given."""
    @property
    def model(self) -> str:
        """Name of the model."""
    @property
    def dates(self) -> list[str]:
        """Dates of the forecasts, or their numbers where the series has none."""
    @property
    def mean(self) -> NDArray[float64]:
        """The point forecasts."""
    @property
    def lower(self) -> dict[int, NDArray[float64]]:
        """The lower ends of the intervals, by their probabilities in percent: 80 and 95."""
    @property
    def upper(self) -> dict[int, NDArray[float64]]:
        """The upper ends."""
    @property
    def season(self) -> int:
        """Number of steps in a season; 1 without one."""

def forecast(
    values: ArrayLike, horizon: int | None = None, season: int | list[int] | None = None, method: Method = "auto"
) -> Forecast:
    """Forecast the next values of a series, numbers without dates, as `carousel forecast` does.

    A missing value is NaN, or None in a list. horizon is the number of steps, by default a season, or 10. season is the
    number of steps after which the series repeats itself, or several; 1 is none, and by default they are looked for.
    """
