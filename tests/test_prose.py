"""Rules on prose: plain words in docstrings, comments, messages and pages, docstring openings, and table widths."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = sorted(path for name in ("nmt", "scripts", "tests", "hydra_plugins") for path in (ROOT / name).rglob("*.py"))
PLAIN = [ROOT / "Makefile", *sorted((ROOT / "conf").rglob("*.yaml"))]
CELL_WIDTH, ROW_WIDTH = 80, 140
README_LINES, README_ROW_WIDTH = 120, 110

OPENINGS = re.compile(r"\s*(what|which|who|whom|whose|whether|where|when|of|by|how|as|that)\b", re.IGNORECASE)

UNIT = (
    "second|minute|hour|day|step|epoch|batch|sentence|token|word|piece|pair|line|row|file|shard|side|split|question|"
    "process|worker|thread|core|machine|node|seed|layer"
)
COUNTED = (
    "tokens|sentences|pairs|lines|bytes|times|pieces|characters|seconds|milliseconds|microseconds|minutes|hours|steps|"
    "batches|words|processes|rows|samples|phrases|references|threads|updates|MB|MiB|GB|KB|kB|ms|s"
)
WORDS = re.compile(
    rf"""\b(?:
    anew | mend(?:s|ed|ing)? | who(?:m)?ever | whatever | wherever
    | so\s+many | as\s+many\s+as\s+there\s+are | in\s+the\s+midst | by\s+heart | wished\s+for
    | go(?:es)?\s+on | went\s+on | owed
    | (?<!there\ )is\s+no(?!\s+(?:longer|more)\b) | may\s+not | or\s+else
    | told | asked | hears | knows | wants
    | at\s+the\s+most | at\s+the\s+least(?!\s)
    | (?:{COUNTED})\s+an?\s+(?:{UNIT})(?!\s+time)
    | an?\s+(?:line|process|thread|file|prefix|coin|shard|row)\s+an?\s+(?:{UNIT})
    )\b | [,;]\s+else\b(?!:)""",
    re.IGNORECASE | re.VERBOSE,
)

# Files whose literal text is data, and phrases that are right where they stand.
DATA = ("nmt/phrasebook/",)  # string literals: words of the grammar
ALLOWED = {
    ("tests/test_prose.py", ""): "the list of words itself",
    ("docs/phrasebook.md", ""): "sentences of the grammar",
    ("nmt/phrasebook/nesting.py", "the waiter knows when"): "a sentence of the grammar",
}


def check(findings: list[str]) -> None:
    """Fail with one line per finding, and without the source of the test."""
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def allowed(name: str, text: str) -> bool:
    return any(name == file and phrase in text for file, phrase in ALLOWED)


def matches(name: str, line: int, text: str) -> list[str]:
    """Return one `file:line: word` per listed word in a text that begins at the given line."""
    found = [match for match in WORDS.finditer(text) if not allowed(name, text)]
    return [f"{name}:{line + text.count(chr(10), 0, match.start())}: {' '.join(match[0].split())}" for match in found]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string that is a statement, which includes the docstrings of fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every string literal with a space in it, parts of f-strings included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every comment; comments on consecutive lines are one text."""
    block: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            if block and token.start[0] != block[-1][0] + 1:
                yield block[0][0], "\n".join(text for _, text in block)
                block = []
            block.append((token.start[0], token.string.lstrip("# ")))
    if block:
        yield block[0][0], "\n".join(text for _, text in block)


def texts(path: Path) -> list[tuple[int, str]]:
    """Return the texts of a Python file that are prose, each with its first line."""
    name = name_of(path)
    messages = name.startswith(("nmt/", "scripts/")) and not name.startswith(DATA)
    prose = set(literals(path)) if messages else set(docstrings(path))
    return sorted(prose | set(docstrings(path)) | set(comments(path)))


def without_code(text: str) -> str:
    """Blank out code spans, links' targets and German examples in italics; lengths and line breaks stay."""
    return re.sub(r"`[^`\n]*`|\]\([^)\n]*\)|<(?:span|img)[^>\n]*>", lambda match: " " * len(match[0]), text)


def table_rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, source and rendered cells of each table row; of a cell with `<br>`, its longest line."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            plain = [re.sub(r"\[([^]]*)\]\([^)]*\)|\\(.)|`", r"\1\2", cell.strip()) for cell in cells]
            yield number, line, [max(cell.split("<br>"), key=len) for cell in plain]


def group_of(path: Path) -> str:
    """Return the package of a file: its folder, at most two names deep (`tests/unit/models` counts as three)."""
    depth = 3 if name_of(path).startswith("tests/unit/") else 2
    return "/".join(path.relative_to(ROOT).parent.parts[:depth])


GROUPS = sorted({group_of(path) for path in PYTHON})


@pytest.mark.parametrize("group", GROUPS)
def test_python_files_use_plain_words(group: str) -> None:
    files = [path for path in PYTHON if group_of(path) == group]
    found = [each for path in files for line, text in texts(path) for each in matches(name_of(path), line, text)]
    check(found)


@pytest.mark.parametrize("group", GROUPS)
def test_docstrings_open_with_a_verb_or_a_noun(group: str) -> None:
    files = [path for path in PYTHON if group_of(path) == group]
    found = [
        f"{name_of(path)}:{line}: {' '.join(text.split()[:4])}"
        for path in files
        for line, text in docstrings(path)
        if OPENINGS.match(text) and not allowed(name_of(path), text)
    ]
    check(found)


@pytest.mark.parametrize("path", [*PAGES, *PLAIN], ids=name_of)
def test_pages_and_configuration_use_plain_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = matches(name_of(path), 1, without_code(text) if path.suffix == ".md" else text)
    check(found)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_table_cells_and_rows_are_short(path: Path) -> None:
    rows = list(table_rows(path))
    wide = [
        f"{name_of(path)}:{line}: cell of {len(c)}: {c[:40]}" for line, _, r in rows for c in r if len(c) > CELL_WIDTH
    ]
    wide += [
        f"{name_of(path)}:{line}: row of {len(' | '.join(r))}" for line, _, r in rows if len(" | ".join(r)) > ROW_WIDTH
    ]
    check(wide)


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert len(lines) <= README_LINES
    assert [line for line in lines if line.startswith("|") and len(line) > README_ROW_WIDTH] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The order is drawn anew, and whoever reads it\nmends it.", ["1: anew", "1: whoever", "2: mends"]),
        ("It is no list. There is no list. It is no longer a list.", ["1: is no"]),
        ("Trains 3,400 tokens a second, a second time; one process a core.", ["1: tokens a second"]),
        ("Gives 1, else 2. Anything else is refused.", ["1: , else"]),
        ("The unknown words are known.", []),
    ],
)
def test_the_list_finds_words_and_little_beside_them(text: str, words: list[str]) -> None:
    assert matches("x", 1, text) == [f"x:{word}" for word in words]
