"""The form of human_eval in headless Chromium: filled by the keyboard, kept over a restart, and read back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CONTRAST, WIDGETS, Browser
from simulated_raters import toy_design

from nmt.lab.judgements.answers import EQUAL, FIRST, SECOND, ErrorSpan, read_sheet
from nmt.lab.judgements.design import Design
from nmt.lab.judgements.export import write_campaign

pytestmark = pytest.mark.browser

STORED = "Object.keys(localStorage).length"
CSV = "csv()"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile")
    try:
        browser.size(800, 800)
        browser.scheme("light")
        yield browser
        assert browser.complaints == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    finally:
        browser.close()


def open_form(browser: Browser, kind: str, folder: Path) -> tuple[Design, str]:
    design = toy_design(kind)
    write_campaign(design, folder)
    url = (folder / "forms" / "rater1.html").as_uri()
    browser.open(url)
    browser.wait("document.querySelector('#position').textContent.startsWith('Item 1')")
    return design, url


def answers(browser: Browser, design: Design, tmp_path: Path) -> list[tuple[str, str, float, list[ErrorSpan]]]:
    """Return the answers that the form saves, as `import` reads them."""
    path = tmp_path / "answers.csv"
    path.write_text(browser.evaluate(CSV), encoding="utf-8")
    return [(one.rater, one.item, one.answer, one.errors) for one in read_sheet(path, design)]


def test_ratings_are_typed_kept_and_read_back(browser: Browser, tmp_path: Path) -> None:
    design, url = open_form(browser, "da", tmp_path / "c")
    browser.set("#rater", "Anna, B.")
    browser.evaluate("document.querySelector('#number').focus()")
    browser.type("72")
    browser.press("Enter")
    browser.type("105")
    browser.press("Enter")
    browser.type("8")
    browser.open(url + "?again")
    browser.open(url)
    browser.wait("document.querySelector('#count').textContent.startsWith('2 of')")
    assert browser.evaluate("document.querySelector('#position').textContent").startswith("Item 3")
    assert answers(browser, design, tmp_path) == [("Anna, B.", "1-001", 72, []), ("Anna, B.", "1-003", 8, [])]
    browser.click("#unanswered")
    assert browser.evaluate("document.querySelector('#position').textContent").startswith("Item 2")


def test_errors_are_marked_by_the_keyboard(browser: Browser, tmp_path: Path) -> None:
    design, _ = open_form(browser, "esa", tmp_path / "c")
    text = design.sheets[0][0].shown[0].text
    words = text.split()
    browser.evaluate("document.querySelector('.word').focus()")
    browser.press("1")
    browser.press("ArrowRight")
    browser.press("2")
    browser.press("ArrowRight")
    browser.press("2")
    browser.click("input[name=missing]", 1)
    browser.set("#number", "40")
    second = ErrorSpan("major", " ".join(words[1:3]), text.index(words[1], len(words[0])))
    expected = [ErrorSpan("minor", words[0], 0), second, ErrorSpan("minor", "[missing]")]
    assert answers(browser, design, tmp_path) == [("rater1", "1-001", 40, expected)]
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        assert browser.evaluate(CONTRAST) == []
    assert [role for role, name in browser.accessible() if role in WIDGETS and not name.strip()] == []
    browser.scheme("light")
    if folder := os.environ.get("NMT_PICTURES"):
        keep_picture(browser, design, Path(folder) / "human_eval_form.png")
    browser.size(400, 800)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400


def keep_picture(browser: Browser, design: Design, path: Path) -> None:
    """Write a picture of a damaged item whose replaced words are marked."""
    place, item = next((at, one) for at, one in enumerate(design.sheets[0]) if one.check == "damaged")
    reference = design.segments[item.segment].reference.split()
    browser.evaluate(f"go({place})")
    for at, word in enumerate(item.shown[0].text.split()):
        if word not in reference:
            browser.evaluate(f"document.querySelectorAll('.word')[{at}].focus()")
            browser.press("2")
    browser.set("#number", "30")
    browser.evaluate("document.activeElement.blur()")
    browser.size(800, 720)
    browser.picture(path)


def test_comparisons_are_chosen_by_keys(browser: Browser, tmp_path: Path) -> None:
    design, _ = open_form(browser, "pairwise", tmp_path / "c")
    browser.evaluate("document.body.focus()")
    for key in "123":
        browser.press(key)
        browser.press("Enter")
    browser.press("PageUp")
    assert browser.evaluate("document.querySelector('input[name=better]:checked').value") == "1"
    assert [answer for _, _, answer, _ in answers(browser, design, tmp_path)] == [FIRST, EQUAL, SECOND]
    assert [role for role, name in browser.accessible() if role in WIDGETS and not name.strip()] == []


def test_the_answers_are_saved_as_a_file(browser: Browser, tmp_path: Path) -> None:
    open_form(browser, "da", tmp_path / "c")
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.set("#number", "33")
    browser.click("#save")
    path = tmp_path / "rater1_answers.csv"
    for _ in range(100):
        browser.evaluate("new Promise(done => setTimeout(done, 100))")
        if path.is_file() and path.stat().st_size:
            break
    assert path.read_text(encoding="utf-8").startswith("rater,item,score,errors,seconds\nrater1,1-001,33,,")
