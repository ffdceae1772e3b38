"""The adapt command: corrections come out in a copy of the run, and the old run does not change."""

import hashlib
import json
import signal
from pathlib import Path

import pytest
from command import SMALL, call, refused, start, weights
from prompt_session import PromptSession

from nmt.data import Correction, append_correction, read_corrections

pytestmark = pytest.mark.commands

EAGER = (
    "optimizer=adam",
    "learning_rate=0.01",
    "steps=600",
    "check_every=20",
    "batch_size=8",
    "replay=0.25",
    "replay_weight=0",
    "decay=0",
    "max_loss=100",
    "machine.threads=1",
)
"""Settings with which an almost untrained model memorises a few sentences."""
WANTED = {"The tea is hot.": "Der Tee ist heiß.", "Where is the station?": "Wo ist der Bahnhof?"}


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapt") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def corrections(run: Path) -> Path:
    path = run.parent / "corrections.jsonl"
    for source, wanted in WANTED.items():
        append_correction(path, Correction(source, wanted, src_lang="en", tgt_lang="de"))
    append_correction(path, Correction("Le thé.", "Der Tee.", src_lang="fr", tgt_lang="de"))
    return path


def translations(run: Path, lines: list[str]) -> list[str]:
    output, _ = call("translate", f"run={run}", "machine.threads=1", cwd=run.parent, given="\n".join(lines) + "\n")
    return output.split("\n")[:-1]


def test_corrections_come_out_in_a_copy_and_the_old_run_keeps_its_bytes(
    run: Path, corrections: Path, tmp_path: Path
) -> None:
    before = digests(run)
    old = translations(run, list(WANTED))
    arguments = (f"run={run}", f"corrections={corrections}", *EAGER)
    output, error = call("adapt", *arguments, "output=adapted", cwd=tmp_path)
    assert "1 of 3 corrections are of other directions" in error
    assert "2 of 2 corrections come out with the weights of step" in output
    assert "signature" not in output
    assert "|tok:13a|" in output
    assert f"To undo: use run={run} again, and delete adapted." in output
    adapted = tmp_path / "adapted"
    assert translations(adapted, list(WANTED)) == list(WANTED.values()) != old
    assert digests(run) == before
    assert translations(run, list(WANTED)) == old
    record = json.loads((adapted / "run.json").read_text())["adapted"]
    assert (record["run"], record["learned"], record["corrections"]) == (str(run), 2, 2)
    assert record["corrections_sha256"] == hashlib.sha256(corrections.read_bytes()).hexdigest()
    assert [each.correction for _, each in read_corrections(adapted / "corrections.jsonl")] == list(WANTED.values())
    call("adapt", *arguments, "output=again", cwd=tmp_path)
    assert weights(tmp_path / "again", "best") == weights(adapted, "best") != weights(run, "best")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapted", "again"]
    # The copy is a run like others, except that its training cannot be continued.
    call("evaluate", "run=adapted", cwd=tmp_path)
    call("evaluate", f"run={run}", cwd=tmp_path)
    compared, _ = call("compare", str(run), "adapted", cwd=tmp_path)
    assert f"adapted={record['corrections_sha256'][:8]}" in compared
    line = refused("train", "train.resume=adapted", "train.max_steps=99", cwd=tmp_path)
    assert "train.init_from=" in line
    _, error = call("adapt", "run=adapted", *arguments[1:], "output=more", cwd=tmp_path, code=2)
    assert "nothing to learn" in error


def test_mistakes_are_refused_and_leave_nothing(run: Path, corrections: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"source": "The tea is hot.", "correction": "Der 家 ist heiß."}\n')
    (tmp_path / "french.jsonl").write_text('{"source": "a", "correction": "b", "src_lang": "fr"}\n')
    (tmp_path / "there").mkdir()
    both = (f"run={run}", f"corrections={corrections}")
    for arguments, words in (
        ((f"run={run}", "output=new"), "corrections is missing"),
        (both, "output is missing"),
        ((*both, "output=there"), "output=there exists already"),
        ((*both, "output=new", "replay=1"), "replay is 1.0; allowed: from 0 to 0.99"),
        ((*both, "output=new", "machine.precision=int8"), "machine.precision is int8"),
        ((f"run={run}", "corrections=bad.jsonl", "output=new"), "bad.jsonl: line 1: the vocabulary"),
        ((f"run={run}", "corrections=french.jsonl", "output=new"), "translates en to de"),
        ((f"run={run}", "corrections=none.jsonl", "output=new"), "none.jsonl: cannot be read"),
    ):
        assert words in refused("adapt", *arguments, cwd=tmp_path)
    _, error = call("adapt", *both, "output=new", "steps=1", "learning_rate=1e-9", cwd=tmp_path, code=2)
    assert "no further correction comes out in 1 steps, and nothing was written; raise steps or learning_rate" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", "french.jsonl", "there"]


def test_an_interrupt_leaves_no_half_run(run: Path, corrections: Path, tmp_path: Path) -> None:
    slow = ("steps=100000", "check_every=1", "learning_rate=1e-9")
    process = start("adapt", f"run={run}", f"corrections={corrections}", "output=new", *slow, cwd=tmp_path)
    assert process.stderr is not None
    while "step 2:" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "nothing was written; repeat the command" in error
    assert list(tmp_path.iterdir()) == []


def test_a_correction_is_typed_or_edited_at_the_prompt(run: Path, tmp_path: Path) -> None:
    prompt = PromptSession(tmp_path, f"run={run}", "corrections=saved.jsonl")
    for typed, expected in (
        (":correct Zu früh.", "translate a sentence first"),
        ("The tea is hot.", "> "),
        (":correct Der Tee ist heiß.", "saved in saved.jsonl"),
        (":correct Der 家.", "cannot write"),
        (":correct", "correct> "),
        (" und mehr", "saved in saved.jsonl"),
        (":quit", "\n"),
    ):
        prompt.type(typed, expected)
    prompt.close()
    [typed, edited] = [each for _, each in read_corrections(tmp_path / "saved.jsonl")]
    model = translations(run, ["The tea is hot."])[0]
    assert typed == Correction("The tea is hot.", "Der Tee ist heiß.", model, "en", "de")
    assert edited == Correction("The tea is hot.", " ".join(f"{model} und mehr".split()), model, "en", "de")
    for arguments, words in (
        (("corrections=new.jsonl",), "corrections is for the prompt"),
        (("corrections=new.jsonl", "input=file"), "corrections is for the prompt, but input is given"),
    ):
        assert words in refused("translate", f"run={run}", *arguments, cwd=tmp_path)


TERMS = {
    "The sausage is very tasty.": "Die Bratwurst ist sehr lecker.",
    "My uncle ate the sausage.": "Mein Onkel hat die Bratwurst gegessen.",
    "We bought a sausage on Friday.": "Wir haben am Freitag eine Bratwurst gekauft.",
    "Mr Lindner is very friendly.": "Herr Lindner ist sehr freundlich.",
}


@pytest.mark.slow
def test_a_trained_model_learns_a_term_and_a_name_and_loses_less_than_0_3_bleu(tmp_path: Path) -> None:
    call("train", "experiment=phrasebook", "machine.threads=1", "hydra.run.dir=run", cwd=tmp_path)
    before = digests(tmp_path / "run")
    lines = [f"{source}\t{wanted}\n" for source, wanted in TERMS.items()]
    (tmp_path / "terms.tsv").write_text("".join(lines), encoding="utf-8")
    arguments = ("run=run", "corrections=terms.tsv", "output=adapted", "machine.threads=1")
    output, _ = call("adapt", *arguments, cwd=tmp_path)
    assert "4 of 4 corrections come out" in output
    assert translations(tmp_path / "adapted", list(TERMS)) == list(TERMS.values())
    assert digests(tmp_path / "run") == before
    call("evaluate", "run=adapted", "machine.threads=1", cwd=tmp_path)
    old, new = (json.loads((tmp_path / name / "scores" / "test.json").read_text()) for name in ("run", "adapted"))
    assert old["bleu"]["signature"] == new["bleu"]["signature"]
    assert new["bleu"]["score"] > old["bleu"]["score"] - 0.3
