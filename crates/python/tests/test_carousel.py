"""The package against the program: the same texts, labels, translations and forecasts, from several threads too.

The models are those that ship. The program is target/release/carousel, or what CAROUSEL names.
"""

import ast
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import carousel

ROOT = Path(__file__).resolve().parents[3]
CHECKPOINTS = ROOT / "checkpoints"
PROGRAM = os.environ.get("CAROUSEL", ROOT / "target" / "release" / "carousel")
SENTENCE = "It was a dark night, and the film was zyxwq."


def run(*arguments):
    """The JSON objects that a command prints."""
    command = [str(argument) for argument in (PROGRAM, *arguments, "--json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def writer():
    return carousel.load(CHECKPOINTS / "reviews")


@pytest.fixture(scope="module")
def classifier():
    return carousel.load(CHECKPOINTS / "sentiment")


@pytest.fixture(scope="module")
def translator():
    return carousel.load(CHECKPOINTS / "en-fr")


def test_a_model_is_opened_by_its_task(writer, classifier, translator):
    assert type(writer) is carousel.Writer and writer.name == "reviews"
    assert type(classifier) is carousel.Classifier and type(translator) is carousel.Translator
    assert repr(writer) == "<carousel.Writer reviews>"
    opened = carousel.Classifier.load(str(CHECKPOINTS / "sentiment"), threads=1)
    assert opened.labels == classifier.labels == ["negative", "neutral", "positive"]
    for kind in (carousel.Classifier, carousel.Translator):
        with pytest.raises(carousel.Error, match="reviews"):
            kind.load(CHECKPOINTS / "reviews")
    with pytest.raises(carousel.Error, match="is a classifier, not a language model"):
        carousel.Writer.load(CHECKPOINTS / "sentiment")


def test_a_name_is_found_as_by_the_commands(monkeypatch):
    monkeypatch.setenv("CAROUSEL_MODELS", str(CHECKPOINTS))
    assert carousel.load("en-fr").name == "en-fr"
    with pytest.raises(carousel.Error, match="there is no model sentimant: .* did you mean sentiment?"):
        carousel.load("sentimant")


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ([], {}),
        (["--temperature", "0.5", "--top-k", "20", "--samples", "3"], {"temperature": 0.5, "top_k": 20, "samples": 3}),
        (["--top-p", "0.8", "--min-p", "0", "--stop", "."], {"top_p": 0.8, "min_p": 0, "stop": "."}),
        (["--temperature", "0", "--repeat-penalty", "1.2"], {"temperature": 0, "repeat_penalty": 1.2}),
    ],
)
def test_texts_are_those_of_the_command(writer, flags, options):
    expected = run("generate", "-m", CHECKPOINTS / "reviews", "-p", "The film", "--length", 40, "--seed", 7, *flags)
    found = writer.generate("The film", length=40, seed=7, **options)
    keys = ("text", "tokens", "finish_reason", "seed")
    assert [{key: getattr(text, key) for key in keys} for text in found] == [
        {key: text[key] for key in keys} for text in expected
    ]
    assert str(found[0]) == found[0].text


def test_a_text_has_the_usual_length_and_a_seed_of_its_own(writer):
    [one] = writer.generate()
    assert one.tokens == 120 and one.finish_reason == "length"
    [again] = writer.generate(seed=one.seed)
    assert again.text == one.text
    assert repr(one).startswith("Text(text=")


def test_scores_are_those_of_the_command(writer):
    [expected] = run("score", "-m", CHECKPOINTS / "reviews", SENTENCE, "--tokens")
    found = writer.score(SENTENCE)
    scores = expected["token_scores"]
    assert found.tokens == [token["token"] for token in scores]
    assert found.log_probabilities.dtype == np.float64
    assert found.log_probabilities.tolist() == [token["log_probability"] for token in scores]
    assert found.log_probability == expected["log_probability"]
    assert found.perplexity == expected["perplexity"] == pytest.approx(np.exp(found.loss))
    assert found.bits_per_character == expected["bits_per_character"]
    assert found.unknown == expected["unknown"] == ["zyxwq"]


def test_logits_give_the_scores(writer):
    known = "It was a good film."
    ids = writer.tokenize(known)
    assert ids.dtype == np.uint32 and writer.detokenize(ids) == known
    logits = writer.logits(np.concatenate([[writer.line_end], ids[:-1]]))
    assert logits.dtype == np.float32 and logits.shape == (len(ids), writer.vocab_size)
    exact = logits.astype(np.float64)
    log_probabilities = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    own = log_probabilities[np.arange(len(ids)), ids]
    np.testing.assert_allclose(own, writer.score(known).log_probabilities, atol=1e-5)


def test_ids_are_any_whole_numbers(writer):
    expected = writer.logits([writer.line_end, 5])
    for kind in (np.int8, np.uint16, np.int64):
        np.testing.assert_array_equal(writer.logits(np.array([writer.line_end, 5], kind)), expected)
    assert writer.logits([]).shape == (0, writer.vocab_size)
    assert writer.detokenize(np.array([5, 9, 5, 9])[::2]) == writer.detokenize([5, 5])
    # A window ends within the text.
    long = np.arange(300) % 50
    np.testing.assert_allclose(writer.logits(long)[:20], writer.logits(long[:20]), atol=1e-4)


def test_labels_are_those_of_the_command(classifier):
    texts = ["what a waste of two hours", "not bad at all", "", "Wie war es denn so?"]
    expected = run("classify", "-m", CHECKPOINTS / "sentiment", "--threshold", 0.9, *texts)
    found = classifier.classify(texts, threshold=0.9)
    for own, other in zip(found, expected, strict=True):
        assert (own.label, own.probability, own.unsure) == (other["label"], other["probability"], other["unsure"])
        assert own.probabilities == other["probabilities"]
        assert own.unsure == (own.reason is not None)
    assert any(one.unsure for one in found) and not found[0].unsure
    [alone] = classifier.classify(texts[1])
    assert alone.label == "positive" and list(alone.probabilities) == classifier.labels
    assert classifier.classify([]) == []


def test_texts_are_tokenized_alone_as_beside_others(writer, classifier, translator):
    texts = [SENTENCE, "", "Where's the café?\n\nHere."]
    for model in (writer, classifier, translator):
        together = model.tokenize_all(texts)
        assert [ids.tolist() for ids in together] == [model.tokenize(text).tolist() for text in texts]
        assert together[1].dtype == np.uint32 and len(together[1]) == 0


def test_translations_are_those_of_the_command(translator):
    texts = ["Where is the station?", "I would like a coffee. It is cold today.", ""]
    for beam in (1, 5):
        expected = run("translate", "-m", CHECKPOINTS / "en-fr", "--beam", beam, *texts)
        found = translator.translate(texts, beam=beam)
        assert [one.text for one in found] == [one["translation"] for one in expected]
        assert [one.score for one in found] == [one["score"] for one in expected]
        assert [one.log_probability for one in found] == [one["log_probability"] for one in expected]
    assert translator.translate(texts[0])[0].text == found[0].text


def series(tmp_path, values):
    file = tmp_path / "values.csv"
    file.write_text("".join(f"{value!r}\n" for value in ["value", *values]).replace("'", "").replace("nan", "NA"))
    return file


@pytest.mark.parametrize("method", ["auto", "ets", "seasonal-naive"])
def test_forecasts_are_those_of_the_command(tmp_path, method):
    steps = np.arange(72)
    random = np.random.default_rng(1)
    values = 100 + steps + 20 * np.sin(steps * np.pi / 6) + random.normal(size=72)
    values[30] = np.nan
    file = series(tmp_path, values.tolist())
    [expected] = run("forecast", file, "--season", 12, "--horizon", 15, "--method", method)
    found = carousel.forecast(values, 15, season=12, method=method)
    assert found.model == expected["model"] and found.season == 12
    assert found.mean.dtype == np.float64 and found.mean.tolist() == expected["forecast"]
    for own, other in ((found.lower, expected["lower"]), (found.upper, expected["upper"])):
        assert {str(level): ends.tolist() for level, ends in own.items()} == other
    assert list(found.lower) == [80, 95] and (found.lower[95] < found.upper[80]).all()


def test_values_are_any_numbers(tmp_path):
    values = [3, None, 5, 4, 6, 5, 7, 6, 8, 7]
    [expected] = run("forecast", series(tmp_path, [float("nan") if value is None else value for value in values]))
    found = carousel.forecast(values)
    assert found.mean.tolist() == expected["forecast"]
    again = carousel.forecast(np.array(values, np.float32))
    assert again.mean.tolist() == found.mean.tolist()
    assert carousel.forecast(tuple(values), method="naive", horizon=2).mean.tolist() == [7, 7]


def kept(tmp_path, rows, *flags):
    file = tmp_path / "series.csv"
    file.write_text("\n".join(rows) + "\n")
    run("forecast", file, "-o", tmp_path / "kept", *flags)
    return carousel.load(tmp_path / "kept")


def check_kept(found, expected):
    assert [(one.series, one.model) for one in found] == [(one["series"], one["model"]) for one in expected]
    for own, other in zip(found, expected):
        assert own.mean.tolist() == other["forecast"] and own.dates == other["dates"]
        assert {str(level): ends.tolist() for level, ends in own.upper.items()} == other["upper"]


def test_a_kept_forecaster_goes_on(tmp_path):
    values = [3.0, 5, 4, 6, 5, 7, 6, 8, 7, 9, 8, 10]
    forecaster = kept(tmp_path, ["value", *map(repr, values)], "--method", "theta,drift", "--horizon", 4)
    assert type(forecaster) is carousel.Forecaster and forecaster.series == ["value"]
    assert repr(forecaster) == "<carousel.Forecaster kept>"
    check_kept(forecaster.forecast(), run("forecast", "-m", tmp_path / "kept"))
    assert len(forecaster.forecast()[0].mean) == 4
    more = tmp_path / "more.csv"
    more.write_text("value\n9\n11\n")
    expected = run("forecast", "-m", tmp_path / "kept", more, "--horizon", 2)
    check_kept(forecaster.forecast(file=more, horizon=2), expected)
    check_kept(forecaster.forecast([9, 11], 2), expected)
    # New values are not kept.
    check_kept(forecaster.forecast(), run("forecast", "-m", tmp_path / "kept"))


def test_a_kept_forecaster_of_dated_series(tmp_path):
    rows = [f"{name},2020-{month:02},{scale * month}" for name, scale in (("a", 1), ("b", 2)) for month in range(1, 13)]
    forecaster = kept(tmp_path, ["id,month,value", *rows], "--method", "drift", "--horizon", 2)
    assert forecaster.series == ["a", "b"]
    found = forecaster.forecast()
    check_kept(found, run("forecast", "-m", tmp_path / "kept"))
    assert found[1].dates == ["2021-01", "2021-02"]
    more = tmp_path / "more.csv"
    more.write_text("id,month,value\na,2021-01,20\nc,2021-01,5\n")
    with pytest.warns(UserWarning, match="1 series have no model"):
        found = forecaster.forecast(file=more)
    check_kept(found, run("forecast", "-m", tmp_path / "kept", more))
    with pytest.raises(ValueError, match="has series with dates, or several"):
        forecaster.forecast([1, 2])
    with pytest.raises(ValueError, match="either values or a file"):
        forecaster.forecast([1, 2], file=more)
    with pytest.raises(ValueError, match="neither precision nor threads"):
        carousel.load(tmp_path / "kept", threads=2)
    with pytest.raises(carousel.Error, match="holds no forecaster"):
        carousel.Forecaster.load(CHECKPOINTS / "reviews")
    (tmp_path / "kept" / "model.json").write_text("{")
    with pytest.raises(carousel.Error, match="model.json cannot be understood"):
        carousel.load(tmp_path / "kept")


def test_threads_share_a_model(writer, classifier, translator):
    def work(seed):
        return (
            writer.generate("It was", length=20, seed=seed)[0].text,
            writer.score(f"It was {seed} times.").log_probability,
            classifier.classify(f"{seed} good films")[0].probabilities,
            translator.translate(f"I have {seed} cats.")[0].text,
            carousel.forecast(np.arange(20.0) * seed, 3, method="theta").mean.tolist(),
        )

    alone = [work(seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(12))) == alone


def test_other_threads_go_on_meanwhile(writer):
    """With Python's lock held, a thread would count no more than once before the text is there."""
    done, counts = threading.Event(), []

    def count():
        while not done.is_set():
            counts.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    start = time.perf_counter()
    try:
        writer.generate(length=3000, seed=1)
        end = time.perf_counter()
    finally:
        done.set()
        thread.join()
    meanwhile = [moment for moment in counts if start < moment < end]
    assert len(meanwhile) > 10, (len(meanwhile), end - start)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_long_text():
    program = (
        "import carousel, os, signal, threading\n"
        f"writer = carousel.load({str(CHECKPOINTS / 'reviews')!r})\n"
        "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n    writer.generate(length=10**9)\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted\n", done.stderr


def test_wrong_arguments_are_value_errors(writer, classifier, translator):
    wrong = [
        (lambda: writer.generate(temperature=-1), "temperature -1 is out of range; give 0"),
        (lambda: writer.generate(top_p=0), "top_p 0 is out of range"),
        (lambda: writer.generate(min_p=2), "min_p 2 is out of range"),
        (lambda: writer.generate(top_k=0), "top_k 0 leaves no token"),
        (lambda: writer.generate(length=0), "length 0 generates no token"),
        (lambda: writer.generate(length=-3), "-3 is out of range"),
        (lambda: writer.generate(samples=0), "samples 0 generates no text"),
        (lambda: writer.generate(seed=2**64), "out of range"),
        (lambda: writer.generate(stop=["a", ""]), "stop '' would end every text"),
        (lambda: writer.score(""), "an empty text cannot be scored"),
        (lambda: writer.logits([20_000]), "20000 is no id of the vocabulary; its ids are 0 to 19999"),
        (lambda: writer.logits([-1]), "-1 is no id"),
        (lambda: writer.logits([0.5]), "ids are whole numbers; these are of the type float64"),
        (lambda: writer.detokenize(np.zeros((2, 2), int)), "ids has 2 dimensions"),
        (lambda: classifier.classify("x", threshold=2), "threshold 2 is not a probability"),
        (lambda: translator.translate("x", beam=0), "beam 0 is out of range; give 1 to 100"),
        (lambda: translator.translate("x", length_penalty=-1), "length_penalty -1 is out of range"),
        (lambda: translator.translate(["x", "a\nb"]), "text 2 has several lines"),
        (lambda: carousel.forecast([1, 2, 3], 0), "0 is not in 1..=100000"),
        (lambda: carousel.forecast([1, 2, 3], method="best"), "best"),
        (lambda: carousel.forecast([1, 2, 3], method="lstm"), "networks are trained by"),
        (lambda: carousel.forecast([1, np.inf]), "number 2 is infinite"),
        (lambda: carousel.forecast([]), "there is no number"),
        (lambda: carousel.forecast([[1, 2]]), "values has 2 dimensions"),
        (lambda: carousel.forecast(["one"]), "one"),
        (lambda: carousel.load(CHECKPOINTS / "reviews", precision="fp16"), "there is no precision \"fp16\"; give auto"),
        (lambda: carousel.load(CHECKPOINTS / "reviews", threads=0), "threads 0 is out of range; give 1 to 256"),
    ]
    for call, said in wrong:
        with pytest.raises(ValueError) as raised:
            call()
        assert said in str(raised.value)
    for call in (lambda: classifier.classify(3), lambda: writer.generate(3), lambda: translator.translate([None])):
        with pytest.raises(TypeError):
            call()


def test_messages_are_those_of_the_commands(tmp_path):
    """What is wrong with a folder is said in the same words."""
    (tmp_path / "config.json").write_text("{")
    command = [PROGRAM, "generate", "-m", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True).stderr
    with pytest.raises(carousel.Error) as raised:
        carousel.load(tmp_path)
    assert said == f"carousel: {raised.value}\n"
    with pytest.raises(carousel.Error, match="is not a checkpoint: it has no config.json"):
        carousel.load(tmp_path.parent)


def test_rounded_weights_are_told():
    with pytest.warns(UserWarning, match="the weights of this model are int8"):
        carousel.load(CHECKPOINTS / "en-fr", precision="f32")


def test_the_stub_names_all_that_there_is():
    """Each item of the module is in the stub with its parameters and a docstring, and nothing else is."""
    stub = ast.parse(Path(carousel.__file__).with_name("__init__.pyi").read_text())
    assert Path(carousel.__file__).with_name("py.typed").exists()
    described = {item.name: item for item in stub.body if isinstance(item, (ast.ClassDef, ast.FunctionDef))}
    assert set(described) | {"__version__"} == set(carousel.__all__)
    for name, item in described.items():
        found = getattr(carousel, name)
        assert ast.get_docstring(item) and inspect.getdoc(found), name
        if inspect.isclass(found):
            members = {key: value for key, value in vars(found).items() if not key.startswith("_")}
            stubs = {part.name: part for part in item.body if isinstance(part, ast.FunctionDef)}
            assert set(members) == set(stubs), name
            for key, part in stubs.items():
                assert ast.get_docstring(part) and inspect.getdoc(getattr(found, key)), (name, key)
                is_property = any(getattr(mark, "id", "") == "property" for mark in part.decorator_list)
                assert is_property == inspect.isdatadescriptor(members[key]), (name, key)
                if not is_property:
                    assert parameters(part) == signature(getattr(found, key)), (name, key)
        else:
            assert parameters(item) == signature(found), name


def parameters(function):
    """Names and defaults of a function of the stub."""
    own = function.args
    names = [one.arg for one in own.args]
    defaults = dict(zip(reversed(names), reversed([ast.literal_eval(one) for one in own.defaults])))
    keywords = zip((one.arg for one in own.kwonlyargs), own.kw_defaults)
    defaults |= {name: ast.literal_eval(value) for name, value in keywords if value is not None}
    all_names = names + [one.arg for one in own.kwonlyargs]
    return [(name, defaults.get(name, inspect.Parameter.empty)) for name in all_names]


def signature(function):
    """Names and defaults of a function of the module."""
    return [(one.name, one.default) for one in inspect.signature(function).parameters.values()]
