"""Integration tests of text input: pipes, standard input, gzip, other formats, other normal forms."""

import gzip
import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from command import ROOT, SMALL, call, refused

pytestmark = pytest.mark.commands

SENTENCES = "The door is open.\nThe tea is hot.\n\nThe bus is late.\n"
REFERENCES = "Die Tür ist offen.\nDer Tee ist heiß.\n\nDer Bus ist spät.\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def expected(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("expected")
    (folder / "in").write_text(SENTENCES)
    call("translate", f"run={run}", "input=in", "output=out", cwd=folder)
    return (folder / "out").read_text()


def shell(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which PY is the interpreter with the folder of the scripts."""
    line = words.replace("SCRIPT/", f"{sys.executable} {ROOT}/scripts/")
    environment = {"PYTHONPATH": f"{ROOT}:{':'.join(sys.path)}", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    "words",
    [
        "input=<(cat in) output=out",
        "input=/dev/stdin output=out < in",
        "input=- output=- < in > out",
        "input=in.gz output=out",
        "input=<(cat in.gz) output=out",
        "input=in output=>(cat > out); sleep 1",
        "input=<(cat in) output=out prefixes=<(printf '\\n\\n\\n\\n') constraints=<(printf '\\n\\n\\n\\n')",
    ],
)
def test_pipes_and_packed_files_are_translated_as_files_are(
    run: Path, expected: str, tmp_path: Path, words: str
) -> None:
    (tmp_path / "in").write_text(SENTENCES)
    (tmp_path / "in.gz").write_bytes(gzip.compress(SENTENCES.encode()))
    done = shell(f"SCRIPT/translate.py run={run} {words}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == expected


def test_what_is_no_text_is_refused_by_every_command(run: Path, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(SENTENCES)
    (tmp_path / "bad").write_bytes(b"The door is open.\ncaf\xe9\n\nThe bus is late.\n")
    for script, *words in (
        ("translate", f"run={run}", "input=bad", "output=out"),
        ("translate", f"run={run}", "input=good", "output=out", "prefixes=bad"),
        ("translate", f"run={run}", "input=good", "output=out", "constraints=bad"),
        ("evaluate", f"run={run}", "src=bad", "ref=good"),
        ("evaluate", f"run={run}", "src=good", "ref=bad"),
        ("score", "hyp=bad", "ref=good"),
        ("score", "hyp=good", "ref=bad"),
    ):
        assert "bad: line 2 is not UTF-8" in refused(script, *words, cwd=tmp_path)
    assert not (tmp_path / "out").exists()
    assert "both standard input" in refused("score", "hyp=-", "ref=-", cwd=tmp_path)


def test_pipes_are_scored_and_other_normal_forms_are_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_text(SENTENCES)
    (tmp_path / "ref").write_text(REFERENCES)
    (tmp_path / "nfd").write_text(unicodedata.normalize("NFD", REFERENCES))
    by_file, said = call("score", "hyp=ref", "ref=ref", cwd=tmp_path)
    assert "NFC" not in said
    for hyp, ref in (("<(cat ref)", "<(cat nfd)"), ("nfd", "<(cat ref)"), ("- < nfd", "ref")):
        done = shell(f"SCRIPT/score.py ref={ref} hyp={hyp}", tmp_path)
        assert done.stdout == by_file
        assert "2 of 4 lines, the first of them line 1, are not in Unicode NFC" in done.stderr
    for _ in range(2):
        done = shell(f"SCRIPT/evaluate.py run={run} src=<(cat src) ref=<(cat nfd)", tmp_path)
        assert done.returncode == 0, done.stderr
    [record] = (run / "scores").glob("pipe.*.json")
    by_name, _ = call("evaluate", f"run={run}", "src=src", "ref=ref", "further_refs=[ref]", cwd=tmp_path)
    assert "nrefs:2" in by_name
    assert json.loads(record.read_text())["made_by"]["sentences"] == 4
