"""The page: one file without external references, whose controls have names, ids and endpoints that exist."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from nmt.serving.app import PAGE

TEXT = PAGE.read_text(encoding="utf-8")
SCRIPT = TEXT.partition("<script>")[2].partition("</script>")[0]


class Elements(HTMLParser):
    """Elements of the page with their attributes, and the labels around each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str], bool]] = []
        self.labels = 0
        self.feed(TEXT)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.labels += tag == "label"
        self.found.append((tag, {name: value or "" for name, value in attrs}, self.labels > 0))

    def handle_endtag(self, tag: str) -> None:
        self.labels -= tag == "label"


ELEMENTS = Elements().found
IDS = [attributes["id"] for _, attributes, _ in ELEMENTS if "id" in attributes]


def test_the_page_is_served_with_a_policy_that_allows_no_other_host(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.text == TEXT
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http" not in answer.headers["content-security-policy"]


def test_the_page_has_no_external_reference() -> None:
    assert re.findall(r"https?:|//[a-z]|@import|url\(", TEXT) == []
    references = [attributes[name] for _, attributes, _ in ELEMENTS for name in ("src", "href") if name in attributes]
    assert references == ["data:,"]


def test_the_page_never_reads_text_as_markup() -> None:
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", SCRIPT) == []


def test_every_control_has_a_name_for_screen_readers() -> None:
    labelled = {attributes["for"] for tag, attributes, _ in ELEMENTS if tag == "label" and "for" in attributes}
    unnamed = [
        attributes
        for tag, attributes, inside in ELEMENTS
        if tag in ("input", "select", "textarea", "progress")
        and not (inside or attributes.get("id") in labelled or "aria-label" in attributes)
    ]
    assert unnamed == []
    assert {attributes["role"] for _, attributes, _ in ELEMENTS if "role" in attributes} >= {"tab", "status", "alert"}


def test_every_id_is_unique_and_exists() -> None:
    assert len(IDS) == len(set(IDS))
    used = set(re.findall(r'\$\("([\w-]+)"\)', SCRIPT))
    references = {
        attributes[name]
        for _, attributes, _ in ELEMENTS
        for name in ("for", "aria-controls", "aria-labelledby", "aria-describedby")
        if name in attributes
    }
    assert (used | references) - set(IDS) - {"model-"} == set()


def test_every_endpoint_of_the_page_exists(client: TestClient) -> None:
    paths = set(re.findall(r'"(page/\w+)"', SCRIPT))
    assert len(paths) == 5
    assert {client.options(f"/{path}").status_code for path in paths} == {405}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_script_is_valid(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text(SCRIPT, encoding="utf-8")
    run = subprocess.run(["node", "--check", "page.js"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
