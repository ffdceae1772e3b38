"""Pages agree with the code: the generated pages are current, and links and file names lead to something."""

import ast
import importlib.util
import inspect
import re
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

import nmt
from nmt.lab.comparison.cells import ScoreCell
from nmt.metrics import Score

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = [nmt.Translation, nmt.ForcedScore, nmt.AttentionMatrix, nmt.Encoding, Score, ScoreCell]
FILE = re.compile(r"`((?:nmt|conf|tests|scripts|hydra_plugins|docs)/[\w/.-]+\.(?:py|yaml|md))")


def test_the_generated_pages_are_current() -> None:
    spec = importlib.util.spec_from_file_location("document_commands", ROOT / "scripts" / "document_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, text in module.pages().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, "run `make commands`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_file_names_lead_to_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = [path.parent / link.partition("#")[0] for link in re.findall(r"\]\(((?!https?:|#)[^)\s]+)\)", text)]
    files = [ROOT / name for name in FILE.findall(text) if "NAME" not in name]
    missing = [str(target) for target in [*targets, *files] if not target.exists()]
    assert missing == []


def test_every_page_is_in_the_navigation() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = [line for block in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL) for line in block.split("\n")]
    assert sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index") == sorted(
        line for line in listed if line and not line.startswith(":")
    )


def test_every_section_of_keys_has_keys() -> None:
    sections = re.split(r"^##+ ", (ROOT / "docs" / "keys.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections if not re.search("^- `", section, re.MULTILINE)] == []


@pytest.mark.parametrize("config", RESULTS, ids=lambda config: config.__name__)
def test_attributes_of_results_have_docstrings_that_sphinx_does_not_take_for_a_type(config: type) -> None:
    """Sphinx renders the first line of an attribute's docstring, up to a colon outside code, as a type."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0].body  # type: ignore[attr-defined]
    docs: dict[str, str] = {}
    for node, text in pairwise(body):
        if isinstance(node, ast.AnnAssign):
            documented = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            docs[ast.unparse(node.target)] = str(text.value.value) if documented else ""  # type: ignore[attr-defined]
    first = {name: re.sub("`[^`]*`", "", doc.strip().split("\n")[0]) for name, doc in docs.items()}
    assert [name for name, line in first.items() if not line or ":" in line] == []
