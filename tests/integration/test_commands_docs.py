"""Code blocks of the tutorials, executed in order with short trainings, and the strict build of the documentation."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import ROOT

pytestmark = pytest.mark.commands

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXTERNAL = re.compile(
    r"<(?:script|link|img|iframe|source|video)\b[^>]*?(?:src|href)=\"(?:https?:)?//|url\(\s*['\"]?(?:https?:)?//"
)

SHELL = """
import subprocess
def shell(commands):
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], stdout=subprocess.PIPE, text=True)
    print(run.stdout, end="", flush=True)
    run.check_returncode()
"""


SMALL_CORPUS = (
    "data.phrasebook.train=600",
    "data.phrasebook.valid=20",
    "data.phrasebook.test=40",
    "data.tokenizer.vocab_size=300",
)


def shortened(code: str) -> str:
    """Return a block with a hundredth of the steps and small corpora, so that it trains for seconds."""
    code = re.sub(r"(train\.max_steps=)(\d+)", lambda match: f"{match[1]}{int(match[2]) // 100}", code)
    code = re.sub(r"(train\.validate_every=)\d+", r"\g<1>2", code)
    code = code.replace("12_400", "1_000").replace("vocab_size=800", "vocab_size=300")
    code = code.replace("experiment=phrasebook", " ".join(("experiment=phrasebook", *SMALL_CORPUS)))
    return code.replace("common = [", "common = [" + "".join(f'"{word}", ' for word in SMALL_CORPUS))


def program(page: str) -> str:
    """Return one Python program of all executed blocks of a page."""
    blocks = BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert blocks
    parts = [f"shell({code!r})\n" if kind == "sh" else code for kind, code in ((k, shortened(c)) for k, c in blocks)]
    return SHELL + "\n".join(parts)


@pytest.mark.parametrize(
    ("page", "files", "words"),
    [
        ("own_data.md", ["runs/mine/report.html", "runs/mine_gru/scores/test.json"], ["BLEU = ", "vocabulary"]),
        ("tutorial.md", ["attention.png", "comparison/compare.md"], ["BLEU = ", "| Ich habe eine Tasche getragen."]),
        ("own_cell.md", ["runs/coupled_lstm_3/scores/test.json"], ["cell=coupled"]),
    ],
)
def test_the_blocks_of_a_page_run_in_order(page: str, files: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    (tmp_path / "page.py").write_text(program(page), encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "page.py"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    assert [name for name in files if not (tmp_path / name).is_file()] == []
    assert [word for word in words if word not in run.stdout] == []


def build(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    options = ["--quiet", "--fail-on-warning", "--keep-going", "-d", str(site.parent / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, str(docs), str(site)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def test_the_site_needs_no_network_and_a_broken_link_or_an_orphan_fails(tmp_path: Path) -> None:
    docs, site = tmp_path / "docs", tmp_path / "site"
    shutil.copytree(ROOT / "docs", docs)
    run = build(docs, site)
    assert run.returncode == 0, run.stderr
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > len(list(docs.glob("*.md")))
    assert [str(path) for path in files if EXTERNAL.search(path.read_text(encoding="utf-8"))] == []

    (docs / "orphan.md").write_text("# Orphan\n\n[page](nowhere.md) [heading](index.md#nowhere)\n", encoding="utf-8")
    run = build(docs, site)
    assert run.returncode != 0
    for problem in ("orphan.md: WARNING: document isn't included in any toctree", "'nowhere.md'", "'nowhere'"):
        assert problem in run.stderr
