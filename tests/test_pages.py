"""Pages agree with the code: the page of commands is current, and links and file names lead to something."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILE = re.compile(r"`((?:nmt|conf|tests|scripts|hydra_plugins|docs)/[\w/.-]+\.(?:py|yaml|md))")


def test_the_page_of_commands_is_current() -> None:
    spec = importlib.util.spec_from_file_location("document_commands", ROOT / "scripts" / "document_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run `make commands`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_and_file_names_lead_to_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = [path.parent / link.partition("#")[0] for link in re.findall(r"\]\(((?!https?:|#)[^)\s]+)\)", text)]
    files = [ROOT / name for name in FILE.findall(text) if "NAME" not in name]
    missing = [str(target) for target in [*targets, *files] if not target.exists()]
    assert missing == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in PAGES[1:] if f"](docs/{path.name})" not in readme] == []
