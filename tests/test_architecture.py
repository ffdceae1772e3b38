"""Every file and function that docs/architecture.md names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
REFERENCES = re.findall(r"`(nmt/[\w/]+\.py)` `([\w.]+)`", PAGE)


def names(path: Path) -> set[str]:
    """Return functions and classes of a file, and methods as Class.method."""
    defined: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        if isinstance(node, ast.ClassDef):
            defined |= {f"{node.name}.{child.name}" for child in node.body if isinstance(child, ast.FunctionDef)}
    return defined


@pytest.mark.parametrize(("path", "name"), REFERENCES)
def test_the_file_has_the_function(path: str, name: str) -> None:
    assert name in names(ROOT / path)


def test_every_path_exists() -> None:
    assert [path for path in re.findall(r"`(nmt/[\w/.]*)`", PAGE) if not (ROOT / path).exists()] == []


def test_each_path_has_ten_steps_and_each_step_names_a_function() -> None:
    sections = PAGE.split("\n## ")[1:]
    assert len(sections) == 3
    for section in sections:
        steps = re.findall(r"^(\d+)\. `nmt/[\w/]+\.py` `[\w.]+`: ", section, re.MULTILINE)
        assert steps == [str(number) for number in range(1, 11)]
