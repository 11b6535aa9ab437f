#!/usr/bin/env python3
"""Tries the page of `carousel serve` in headless Chromium: wide and narrow, light and dark, and its accessibility by axe.

    tests/browser/page.py http://127.0.0.1:8080 [--pictures DIR]

The server has to serve reviews, sentiment and en-fr; with `--runs DIR` the runs are tried
too, and with `--allow-training` one is started. The packages are in
packages.txt beside this file, the browser is the `chromium` of the system (or what CHROMIUM names). The exit code is 1 if
anything fails.
"""

import argparse
import csv
import io
import os
import re
import shutil
import sys
import time
import traceback
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

CORPORA = Path(__file__).resolve().parents[2] / "corpora"
WINDOWS = {
    "wide-light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "wide-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "narrow-light": {"viewport": {"width": 390, "height": 800}, "color_scheme": "light", "has_touch": True},
    "narrow-dark": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark", "has_touch": True},
}
PATIENCE = 60_000
ESCAPE_ONCE_IT_WRITES = """() => {
  const stop = document.getElementById('write-stop'), prompt = document.getElementById('write-prompt');
  new MutationObserver((_, observer) => {
    if (stop.disabled) return;
    observer.disconnect();
    stop.classList.add('seen');
    prompt.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));
  }).observe(stop, {attributes: true});
}"""


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def set_slider(page: Page, selector: str, value: float) -> None:
    page.locator(selector).fill(str(value))


def open_settings(page: Page) -> None:
    if not page.locator("#write-seed").is_visible():
        page.locator("#write details.settings > summary").click()


def text_of(page: Page, sample: int = 0) -> str:
    return page.locator("#write-samples-shown .text").nth(sample).inner_text()


def finished(page: Page) -> None:
    expect(page.locator("#write-stop")).to_be_disabled()
    expect(page.locator("#write .notice")).to_be_hidden()


def stops(page: Page) -> None:
    open_tab(page, "Write")
    open_settings(page)
    set_slider(page, "#write-max_tokens", 500)
    # Within the page, as a text may be written before the browser is asked again.
    page.evaluate(ESCAPE_ONCE_IT_WRITES)
    page.locator("#write-prompt").press("Control+Enter")
    expect(page.locator("#write-stop.seen")).to_be_attached()
    finished(page)
    assert page.locator(".token").count() < 500


def writes(page: Page) -> None:
    open_tab(page, "Write")
    open_settings(page)
    page.locator("#write-prompt").fill("This film")
    set_slider(page, "#write-max_tokens", 20)
    set_slider(page, "#write-samples", 2)
    page.locator("#write-seed").fill("4")
    page.get_by_role("button", name="Write", exact=True).click()
    expect(page.locator(".token").nth(25)).to_be_attached()
    finished(page)
    assert text_of(page, 0) != text_of(page, 1), "two samples are the same"
    first = text_of(page)
    assert first.startswith("This film"), first
    page.locator("#write-start").click()
    expect(page.locator(".token").nth(25)).to_be_attached()
    finished(page)
    assert text_of(page) == first, "the same seed gave another text"
    page.get_by_role("button", name="Keep only this").first.click()
    expect(page.locator("#write-samples-shown article")).to_have_count(1)


def takes_a_candidate(page: Page) -> None:
    before = text_of(page)
    page.locator(".token").nth(3).focus()
    candidates = page.locator("#candidates button")
    expect(candidates.first).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(candidates.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#candidates")).to_be_hidden()
    page.locator("#write-prompt").click()
    page.locator(".token").nth(5).hover()
    expect(page.locator("#candidates")).to_be_visible()
    other = page.locator("#candidates button[aria-current=false]").first
    name = other.locator("span").first.inner_text()
    other.click()
    finished(page)
    expect(page.locator(".token").nth(5)).to_have_class(re.compile("taken"))
    taken = page.locator(".token").nth(5).inner_text().strip()
    assert taken == name or name in ("line end", "space"), (taken, name)
    assert text_of(page) != before
    page.get_by_role("button", name="Undo").click()
    assert text_of(page) == before, "Undo did not bring the text back"


def goes_on_and_shares(page: Page) -> None:
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".token").nth(25)).to_be_attached()
    finished(page)
    whole = text_of(page)
    page.get_by_role("button", name="Share").click()
    link = page.locator("#write-address").input_value()
    assert "seed" in parse_qs(urlsplit(link).fragment.partition("?")[2]), link
    other = page.context.new_page()
    other.goto(link)
    expect(other.locator(".token").nth(25)).to_be_attached()
    finished(other)
    assert text_of(other) == whole, "the link gave another text"
    other.close()


def classifies(page: Page) -> None:
    open_tab(page, "Classify")
    page.locator("#classify-text").fill("what a waste of two hours")
    expect(page.locator("#classify-bars li").first).to_contain_text("negative")
    page.locator("#classify-text").fill("a warm and funny film with a dull ending")
    expect(page.locator("#classify-bars li").first).to_contain_text("positive")
    expect(page.locator("#classify-words .mark.warm", has_text="dull")).to_be_visible()
    expect(page.locator("#classify-words .mark.cool", has_text="funny")).to_be_visible()


def drop(page: Page, zone: str, name: str, text: str) -> None:
    made = "([name, text]) => { const held = new DataTransfer(); held.items.add(new File([text], name)); return held; }"
    page.dispatch_event(f".drop[data-for={zone}]", "drop", {"dataTransfer": page.evaluate_handle(made, [name, text])})


def labels_a_file(page: Page) -> None:
    rows = [["id", "text"], ["1", 'so "lovely",\r\nwonderful'], ["2", "a dull, boring mess; awful"], ["3", "wonderful"]]
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    drop(page, "classify-file", "mine.csv", written.getvalue())
    page.get_by_role("button", name="Label the rows").click()
    save = page.get_by_role("button", name="Download with labels")
    expect(save).to_be_enabled()
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "mine-labelled.csv"
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        read = list(csv.reader(file))
    assert read[0][:3] == ["id", "text", "label"], read[0]
    assert [row[:2] for row in read] == rows
    assert [row[2] for row in read[1:]] == ["positive", "negative", "positive"], read
    drop(page, "classify-file", "broken.csv", 'text\n"never closed')
    expect(page.locator("#classify .notice")).to_contain_text("never closed")
    page.set_input_files("#classify-file", CORPORA / "tries.csv")
    page.get_by_role("button", name="Label the rows").click()
    expect(page.locator("#classify-sum")).to_contain_text("240 of 240 rows")


def looks_inside(page: Page) -> None:
    open_tab(page, "Inside")
    expect(page.locator("#inside-tokens .mark").first).to_be_visible()
    before = page.locator("#inside-tokens").inner_html()
    set_slider(page, "#inside-unit", 7)
    expect(page.locator("#inside-time-title")).to_contain_text("Unit 7")
    assert page.locator("#inside-tokens").inner_html() != before
    expect(page.locator("#inside-number")).to_have_value("7")
    expect(page.locator("#inside-picture")).to_be_visible()
    page.locator("#inside-picture").click(position={"x": 40, "y": 100})
    expect(page.locator("#inside-time-title")).not_to_contain_text("Unit 7 ")
    page.locator("#inside-write").click()
    expect(page.locator("#inside-samples article")).to_have_count(2)
    expect(page.locator("#inside-stop")).to_be_disabled()
    page.locator("#inside-model").select_option("sentiment")
    expect(page.locator("#inside-clampless")).to_be_visible()
    page.set_input_files("#inside-file", CORPORA / "reviews.csv")
    found = page.locator("#inside-found button").first
    expect(found).to_be_visible()
    name = found.inner_text()
    found.click()
    expect(page.locator("#inside-time-title")).to_contain_text(f"Unit {name} ")


def translates(page: Page) -> None:
    open_tab(page, "Translate")
    page.locator("#translate-text").fill("It is cold today.\n\nWhere is the station?")
    page.get_by_role("button", name="Translate", exact=True).click()
    expect(page.locator("#translate-lines .translation")).to_have_count(2)
    expect(page.locator(".attention th[scope=col]").first).to_have_text("It")
    page.locator("#translate-sentence").select_option("1")
    expect(page.locator(".attention th[scope=col]").first).to_have_text("Where")


def forecasts(page: Page) -> None:
    open_tab(page, "Forecast")
    page.locator("#forecast-horizon").fill("1000000000")
    drop(page, "forecast-file", "monthly.csv", (CORPORA / "series" / "monthly.csv").read_text())
    expect(page.locator("#forecast .notice")).to_be_visible()
    page.locator("#forecast-horizon").fill("")
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#forecast-chart svg polygon")).to_have_count(2)
    expect(page.locator("#forecast-backtest-table")).to_contain_text("seasonal-naive")
    expect(page.locator("#forecast .notice")).to_be_hidden()
    page.locator("#forecast-result summary").click()
    expect(page.locator("#forecast-table tbody tr")).to_have_count(12)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the forecast").click()
    assert download.value.suggested_filename == "monthly-forecast.csv"


def trains(page: Page) -> None:
    """A run is started, its curve and a sample come, and it is stopped."""
    open_tab(page, "Train")
    new = page.locator("#train-new")
    if not new.is_visible():
        return
    new.locator("summary").click()
    name = f"run-{int(time.time() * 1000)}"
    page.locator("#train-name").fill(name)
    page.locator("#train-text").fill("The miller went to the well, and came home with a song.\n" * 400)
    page.locator("#train-level").select_option("char")
    page.locator("#train-minutes").fill("10")
    page.locator("#train-start").click()
    expect(page.locator("#train-said")).to_contain_text("is being trained")
    page.locator("#train-start[disabled]").wait_for()
    expect(page.locator("#train-chart svg path").first).to_be_attached()
    page.locator("#train-stop").click()
    expect(page.locator("#train-said")).to_contain_text("everything is saved")
    expect(page.locator("#train-start")).to_be_enabled()
    page.locator("#train-start").click()
    expect(page.locator("#train-said")).to_contain_text("give another name")
    new.locator("summary").click()


def shows_runs(page: Page) -> None:
    open_tab(page, "Train")
    none = page.locator("#train .none:visible")
    expect(none.or_(page.locator(".runs input:visible")).first).to_be_visible()
    if none.is_visible():
        expect(none).to_contain_text("--runs")
        return
    expect(page.locator("#train-chart svg path").first).to_be_attached()
    if page.locator(".runs input").count() > 1:
        page.get_by_label(page.locator(".runs label:not(:has(:checked))").first.inner_text().split("\n")[0]).first.check()
        expect(page.locator("#train-table thead th")).to_have_count(3)


def goes_by_keyboard(page: Page) -> None:
    page.get_by_role("tab", name="Write").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tabpanel", name="Classify")).to_be_visible()
    page.keyboard.press("End")
    expect(page.get_by_role("tabpanel", name="Train")).to_be_visible()
    assert page.locator("[role=tab][tabindex='0']").count() == 1


CHECKS = [stops, writes, takes_a_candidate, goes_on_and_shares, classifies, labels_a_file, looks_inside, translates,
          forecasts, trains, shows_runs, goes_by_keyboard]
TABS = ["Write", "Classify", "Inside", "Translate", "Forecast", "Train"]


def is_accessible(page: Page, tab: str) -> None:
    open_tab(page, tab)
    page.wait_for_timeout(500)
    broken = Axe().run(page).response["violations"]
    told = [f"{rule['id']}: {rule['help']}: {node['html'][:160]}" for rule in broken for node in rule["nodes"][:3]]
    assert not told, "\n".join(told)


def fits(page: Page, tab: str) -> None:
    open_tab(page, tab)
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0, f"{tab} is {too_wide} pixels wider than the window"


class Count:
    """How many checks passed and failed."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, name: str, action) -> None:
        try:
            action()
            self.passed += 1
            print(f"ok      {name}", flush=True)
        except Exception:
            self.failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc(limit=-2)}", flush=True)


def try_window(browser, url: str, window: str, pictures: Path | None, count: Count) -> None:
    context = browser.new_context(**WINDOWS[window], accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints, strangers = [], []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    page.on("request", lambda asked: None if asked.url.startswith((url, "blob:", "data:")) else strangers.append(asked.url))
    page.goto(url)
    for check in CHECKS:
        count.check(f"{window}: {check.__name__}", lambda: check(page))
    for tab in TABS:
        count.check(f"{window}: {tab} fits", lambda: fits(page, tab))
        count.check(f"{window}: {tab} by axe", lambda: is_accessible(page, tab))
        if pictures:
            page.screenshot(path=pictures / f"{tab.lower()}-{window}.png", full_page=True)

    def is_quiet() -> None:
        assert not complaints and not strangers, (complaints, strangers)

    count.check(f"{window}: no errors, and nothing from elsewhere", is_quiet)
    context.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--pictures", type=Path, help="write screenshots into this folder")
    parser.add_argument("--window", choices=WINDOWS, action="append", help="only this window; may be repeated")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("no chromium is found; install the package chromium, or name one with CHROMIUM", file=sys.stderr)
        return 1
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    count = Count()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for window in arguments.window or WINDOWS:
            try_window(browser, arguments.url.rstrip("/") + "/", window, arguments.pictures, count)
        browser.close()
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
