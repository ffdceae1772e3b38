"""nmt-translate on documents: a killed translation continues, and the markup is that of the source."""

import re
import time
from pathlib import Path

import pytest
from command import SMALL, call, refused, start

from nmt.phrasebook import pairs

pytestmark = pytest.mark.commands

MARKDOWN = "# The *red* house\n\nThe door **is open**. See [the house](http://a.example).\n\n```\ncode here\n```\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def test_a_document_keeps_its_markup_and_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.md").write_text(MARKDOWN)
    call("translate", f"run={run}", "input=in.md", "output=out.md", cwd=tmp_path)
    result = (tmp_path / "out.md").read_text()
    assert result.startswith("# ")
    assert result.endswith("\n\n```\ncode here\n```\n")
    assert "](http://a.example)" in result
    assert result.count("**") == 2
    assert "exists already" in refused("translate", f"run={run}", "input=in.md", "output=out.md", cwd=tmp_path)
    call("translate", f"run={run}", "input=in.md", "output=out.md", "overwrite=true", cwd=tmp_path)
    assert (tmp_path / "out.md").read_text() == result
    printed, _ = call("translate", f"run={run}", "input=-", "format=markdown", cwd=tmp_path, given=MARKDOWN)
    assert printed == result
    lines, _ = call("translate", f"run={run}", "input=in.md", "format=lines", cwd=tmp_path)
    assert lines.count("\n") == MARKDOWN.count("\n")
    for word, message in (
        ("alignments=links", "alignments is for one sentence per line, but the input is markdown"),
        ("search.n_best=2", "search.n_best=2: a document has one translation"),
        ("output=nowhere/out.md", "nowhere does not exist"),
    ):
        assert message in refused("translate", f"run={run}", "input=in.md", word, cwd=tmp_path)


def test_a_killed_translation_continues(run: Path, tmp_path: Path) -> None:
    text = "".join(f"**{pair.en}**\n\n" for pair in pairs(600, seed=3))
    (tmp_path / "in.md").write_text(text)
    words = (f"run={run}", "input=in.md", "output=out.md", "search=greedy")
    process = start("translate", *words, cwd=tmp_path)
    journal = tmp_path / "out.md.part"
    deadline = time.monotonic() + 300
    while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert not (tmp_path / "out.md").exists()
    kept = journal.read_bytes()
    for setting in ("search.max_length_offset=9", "machine.precision=bfloat16"):
        _, error = call("translate", *words, setting, cwd=tmp_path, code=2)
        assert "another run, checkpoint or settings" in error
    (tmp_path / "in.md").write_text(text + "More.\n")
    assert "in.md has changed since" in refused("translate", *words, cwd=tmp_path)
    (tmp_path / "in.md").write_text(text)
    assert journal.read_bytes().startswith(kept[: kept.rindex(b"\n")])
    _, error = call("translate", *words, cwd=tmp_path)
    assert re.search(r"out\.md\.part: \d+ of \d+ sentences? finished already", error)
    call("translate", f"run={run}", "input=in.md", "output=whole.md", "search=greedy", cwd=tmp_path)
    assert (tmp_path / "out.md").read_text() == (tmp_path / "whole.md").read_text()
    assert not journal.exists()
