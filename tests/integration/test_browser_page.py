"""The page of nmt-serve in headless Chromium: everything that a reader can do, without errors and foreign requests.

$NMT_BROWSER_RUNS names two trained runs, separated by a comma; without it, two tiny runs are trained. $NMT_PICTURES
names a folder for the pictures of the documentation.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CONTRAST, WIDGETS, Browser, find_chromium
from command import SMALL, call
from serving_process import Server

from nmt.phrasebook import pairs

pytestmark = pytest.mark.browser

TEXT = "I know that my father helped his brother. The suit that my parents packed is very beautiful."
LINES = [pair.en for pair in pairs(30, seed=3)]
OUTPUT = "[...document.querySelectorAll('#target .word')].map(word => word.textContent)"
DONE = "document.querySelector('#state').textContent.startsWith('Translated')"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    find_chromium()
    if given := os.environ.get("NMT_BROWSER_RUNS"):
        return [Path(path).resolve() for path in given.split(",")]
    folder = tmp_path_factory.mktemp("browser")
    for number in (1, 2):
        call("train", *SMALL, f"seed={number}", "train.max_steps=20", f"hydra.run.dir={folder}/run{number}", cwd=folder)
    return [folder / "run1", folder / "run2"]


@pytest.fixture(scope="module")
def server(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(runs[0], tmp_path_factory.mktemp("log") / "log", f"others=[{runs[1]}]")
    yield server
    assert server.stop() == 0


@pytest.fixture
def page(server: Server, tmp_path: Path) -> Iterator[Browser]:
    browser = Browser(tmp_path / "profile")
    try:
        browser.size(1200, 900)
        browser.scheme("light")
        browser.open(server.url + "/")
        browser.wait("document.querySelector('#model').options.length === 2")
        yield browser
        assert browser.complaints == []
        foreign = [url for url in browser.requests if not url.startswith((server.url, "data:", "blob:"))]
        assert foreign == []
    finally:
        browser.close()


def translate(page: Browser, text: str = TEXT) -> list[str]:
    """Type a text into the field and return the words of the translation."""
    page.evaluate("document.querySelector('#source').select()")
    page.evaluate("document.querySelector('#state').textContent = ''")
    page.evaluate("document.querySelector('#source').focus()")
    page.type(text)
    page.wait(DONE)
    return page.evaluate(OUTPUT)


def again(page: Browser, action: str) -> list[str]:
    """Run a script that makes the page translate again, and return the words of the translation."""
    page.evaluate(f"document.querySelector('#state').textContent = ''; {action}")
    page.wait(DONE)
    return page.evaluate(OUTPUT)


def keep_picture(page: Browser, name: str) -> None:
    """Write a picture for the documentation if $NMT_PICTURES names a folder."""
    if folder := os.environ.get("NMT_PICTURES"):
        page.size(1100, 600)
        page.evaluate("document.activeElement.blur()")
        page.picture(Path(folder) / name)


def test_typing_shows_a_translation_and_the_answer_of_the_server(page: Browser, server: Server) -> None:
    words = translate(page)
    assert words
    status, answer = server.translate(TEXT)
    assert status == 200
    assert " ".join(words).split() == answer["translatedText"].split()


def test_pointing_and_arrow_keys_show_the_attention(page: Browser) -> None:
    words = translate(page)
    lit = "[...document.querySelectorAll('#attended .src')].filter(word => word.style.background).length"
    note = "document.querySelector('#attended-text').textContent"
    assert page.evaluate(lit) == 0
    page.hover("#target .word", 1)
    page.wait(f"{lit} > 0 && {note}.includes('%')")
    assert page.evaluate(note).startswith(words[1])
    page.evaluate("document.querySelector('#target .word').focus()")
    page.press("ArrowRight")
    page.press("ArrowRight")
    page.wait(f"{note}.startsWith({json.dumps(words[2] + ':')})")
    page.hover("#attended .src", 0)
    page.wait("[...document.querySelectorAll('#target .word')].some(word => word.style.boxShadow)")
    page.hover("#target .word", 4)
    page.wait(f"{lit} > 0")
    keep_picture(page, "page.png")


def test_an_alternative_is_chosen_by_the_keyboard_and_the_translation_continues_from_there(page: Browser) -> None:
    before = translate(page)
    page.evaluate("document.querySelectorAll('#target .word')[1].focus()")
    page.press("Enter")
    page.wait("!document.querySelector('#menu').hidden")
    assert ("listbox", "Alternatives") in page.accessible()
    page.press("ArrowDown")
    chosen = page.evaluate("document.querySelector('#menu [aria-selected=true] span').textContent")
    page.evaluate("document.querySelector('#state').textContent = ''")
    page.press("Enter")
    page.wait(DONE)
    after = page.evaluate(OUTPUT)
    assert (after[0], after[1]) == (before[0], chosen)
    assert page.evaluate("document.querySelectorAll('#target .word.forced').length") == 2
    page.evaluate("document.querySelector('#state').textContent = ''")
    page.click("#free")
    page.wait(DONE)
    assert page.evaluate(OUTPUT) == before
    page.click("#target .word", 2)
    page.wait("!document.querySelector('#menu').hidden")
    page.press("Escape")
    page.wait("document.querySelector('#menu').hidden")


def test_required_and_forbidden_phrases_and_several_translations(page: Browser) -> None:
    before = translate(page)
    page.click("summary")
    forbidden = before[-1].strip("?.!")
    set_value = (
        "(() => {{ const e = document.querySelector('#{0}'); e.value = {1}; e.dispatchEvent(new Event('input')); }})()"
    )
    after = again(page, set_value.format("forbid", json.dumps(forbidden)))
    assert forbidden not in " ".join(after)
    again(page, set_value.format("forbid", "''"))
    after = again(page, set_value.format("require", "'Zug'"))
    assert "Zug" in " ".join(after)
    again(page, set_value.format("require", "''"))
    again(page, set_value.format("n_best", "'3'"))
    assert (
        page.evaluate(
            "[...document.querySelectorAll('#nbest li')].filter(item => /%|e[-+]/.test(item.textContent)).length"
        )
        == 3
    )
    again(page, set_value.format("n_best", "'1'"))
    assert not page.evaluate("document.querySelector('#nbest-part').checkVisibility()")


def test_the_comparison_marks_the_differences_of_two_runs(page: Browser) -> None:
    page.click("#tab-compare")
    page.evaluate("document.querySelector('#compare-source').focus()")
    page.type(TEXT)
    state = page.wait("(t => t && t !== 'Translating' && t)(document.querySelector('#compare-state').textContent)")
    marks = "document.querySelectorAll('#target-{} mark').length"
    if state != "The translations are the same":
        first, second = map(int, re.findall(r"\d+", state))
        assert (page.evaluate(marks.format("a")), page.evaluate(marks.format("b"))) == (first, second)
    page.hover("#target-b .word", 1)
    page.wait("[...document.querySelectorAll('#compare-attended .src')].some(word => word.style.background)")
    keep_picture(page, "page_compare.png")


@pytest.mark.parametrize("suffix", ["txt", "html"])
def test_a_document_is_translated_with_progress_and_offered_for_download(
    suffix: str, page: Browser, tmp_path: Path
) -> None:
    path = tmp_path / f"lines.{suffix}"
    text = "".join(f"{line}\n" for line in LINES)
    path.write_text(text if suffix == "txt" else f"<ul><li>{'</li><li>'.join(LINES)}</li></ul>")
    page.click("#tab-document")
    page.upload("#file", path)
    page.click("#start")
    page.wait("document.querySelector('#document-state').textContent.startsWith('30 of 30 sentences')")
    page.wait("!document.querySelector('#download').hidden")
    output = page.evaluate("document.querySelector('#document-target').textContent")
    assert output.count("\n" if suffix == "txt" else "<li>") == len(LINES)
    assert page.evaluate("document.querySelector('#download').download") == f"lines.de.{suffix}"


def test_the_themes_have_contrast(page: Browser) -> None:
    translate(page)
    page.click("summary")
    page.click("#target .word", 1)
    page.wait("!document.querySelector('#menu').hidden")
    page.click("#confidence")
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        for word in range(4):
            page.hover("#target .word", word)
            assert page.evaluate(CONTRAST) == []
    page.press("Escape")
    page.scheme("light")
    backs = []
    for _ in range(3):
        page.click("#theme")
        backs.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert backs[0] == backs[2] != backs[1]


@pytest.mark.parametrize("width", [400, 1200])
def test_no_view_is_wider_than_the_window(width: int, page: Browser) -> None:
    page.size(width, 800)
    translate(page)
    page.click("summary")
    for view in ("text", "compare", "document"):
        page.click(f"#tab-{view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        keep = os.environ.get("NMT_LOOK")
        if keep:
            page.picture(Path(keep) / f"{view}_{width}.png")


def test_every_control_has_a_name(page: Browser) -> None:
    translate(page)
    page.click("summary")
    for view in ("text", "compare", "document"):
        page.click(f"#tab-{view}")
        nodes = page.accessible()
        assert [role for role, name in nodes if role in WIDGETS and not name.strip()] == []
        assert ("tab", view.capitalize()) in nodes
        assert ("main", "") in nodes
        assert len([role for role, _ in nodes if role == "tabpanel"]) == 1
    assert page.evaluate("document.documentElement.lang") == "en"


def test_the_tab_key_reaches_every_control_and_focus_is_visible(page: Browser) -> None:
    translate(page, "Where is the key?")
    page.evaluate("document.querySelector('#tab-text').focus()")
    seen = ["tab-text"]
    for _ in range(30):
        page.press("Tab")
        name, width = page.evaluate(
            "[document.activeElement.id || document.activeElement.className, "
            "getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(name)
        if name:
            assert width != "none", name
    assert {"tab-text", "theme", "model", "source", "confidence", "copy"} <= set(seen)


def write_hebrew(folder: Path) -> None:
    """Write a small English-Hebrew corpus of noun and adjective."""
    nouns = {"house": "הבית", "garden": "הגן", "train": "הרכבת", "book": "הספר", "town": "העיר", "table": "השולחן"}
    adjectives = {"big": "גדול", "old": "ישן", "new": "חדש", "small": "קטן", "good": "טוב", "red": "אדום"}
    lines = [(f"The {a} is {b}.", f"{nouns[a]} {adjectives[b]}.") for a in nouns for b in adjectives]
    for split, part in (("train", lines[:30]), ("valid", lines[30:33]), ("test", lines[33:])):
        for at, language in enumerate(("en", "he")):
            (folder / f"{split}.{language}").write_text("".join(f"{pair[at]}\n" for pair in part), encoding="utf-8")


def test_a_right_to_left_target_reads_from_the_right(runs: list[Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_hebrew(tmp_path)
    settings = [setting for setting in SMALL if not setting.startswith(("experiment", "data"))]
    files = ("data=files", "data.root=.", "data.src_lang=en", "data.tgt_lang=he", "data.tokenizer.vocab_size=44")
    more = ("model=lstm_small", "data.cleaning.max_ratio=1000", "train.max_steps=5", f"hydra.run.dir={run}")
    call("train", *files, *settings, *more, cwd=tmp_path)
    server = Server(run, tmp_path / "log")
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(server.url + "/")
        browser.wait("document.querySelector('#model').options.length === 1")
        words = translate(browser, "The house is big.")
        assert browser.evaluate("getComputedStyle(document.querySelector('#target')).direction") == "rtl"
        assert browser.evaluate("document.querySelector('#target').lang") == "he"
        if len(words) > 1:
            places = "document.querySelectorAll('#target .word')[{}].getBoundingClientRect().x"
            browser.evaluate("document.querySelector('#target .word').focus()")
            browser.press("ArrowLeft")
            assert browser.evaluate("document.activeElement === document.querySelectorAll('#target .word')[1]")
            assert browser.evaluate(places.format(0)) > browser.evaluate(places.format(1))
        assert browser.complaints == []
    finally:
        browser.close()
        assert server.stop() == 0
        shutil.rmtree(run)
