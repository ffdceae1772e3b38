"""Integration tests of back_translate: rounds, continuation, and what it refuses."""

import json
import shutil
import time
from pathlib import Path

import pytest
from command import SMALL, call, refused, start, weights

from nmt.phrasebook import splits
from nmt.run import RunDirectory

pytestmark = pytest.mark.commands

SHORT = ("search=greedy", "search.max_length_ratio=0", "search.max_length_offset=4")
MORE = list(splits(train=900, valid=20, test=20, seed=1)["train"])[600:]
"""The corpus of the run with 300 more pairs, whose sides are the monolingual texts."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run and write monolingual texts beside it, with a sentence of the test set."""
    folder = tmp_path_factory.mktemp("back")
    call("train", *SMALL, "train.max_steps=10", f"hydra.run.dir={folder / 'run'}", cwd=folder)
    held_out = (folder / "run" / "data" / "test.tgt").read_text().split("\n")[0]
    (folder / "mono.de").write_text("\n".join([held_out, *(pair.de for pair in MORE)]) + "\n")
    (folder / "mono.en").write_text("\n".join(pair.en for pair in MORE) + "\n")
    return folder / "run"


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_two_rounds_train_on_translations_in_both_directions(run: Path) -> None:
    folder = run.parent
    arguments = [f"run={run}", "text=mono.de", "source_text=mono.en", "output=out", *SHORT, "keep=0.5", "forward=true"]
    arguments += ["+training={train.max_steps:20,seed:7}", "machine.threads=1"]
    output, _ = call("back_translate", *arguments, cwd=folder)
    corpus, record = folder / "out" / "corpus", json.loads((folder / "out" / "round1.json").read_text())
    assert (record["run"], record["reverse"]) == ("out/round1/run", "out/round1/reverse")
    assert output.strip() in (str(run), "out/round1/run")
    kept = lines(corpus / "back1.de")
    real = [pair.de for pair in MORE]
    assert 10 <= len(kept) <= round(0.5 * len(set(real)))
    assert set(kept) <= set(real)  # the sentence of the test set is not among them
    assert lines(corpus / "back1.tagged.en") == [f"<BT> {line}" for line in lines(corpus / "back1.en")]
    assert record["pairs"] == len(kept) + len(lines(corpus / "forward1.de"))
    given = "\n".join(kept[:5]) + "\n"
    translated, _ = call("translate", f"run={folder / record['reverse']}", *SHORT, cwd=folder, given=given)
    assert translated.split("\n")[:-1] == lines(corpus / "back1.en")[:5]
    config = (folder / "out" / "round1" / "run" / "config.yaml").read_text()
    assert all(text in config for text in ("max_steps: 20", "back1.tagged.en", "forward1.tagged.en", "seed: 7"))
    assert "forward1.tagged.de" in (folder / "out" / "round1" / "reverse" / "config.yaml").read_text()
    tokenizer = RunDirectory.open(str(folder / record["run"])).tokenizer("src")
    (ids,) = tokenizer.encode(["<BT> the door is open ."])
    assert tokenizer.pieces(ids)[:2].count("<BT>") == 1

    before = weights(folder / "out" / "round1" / "run")
    _, log = call("back_translate", *arguments, "rounds=2", cwd=folder)
    assert weights(folder / "out" / "round1" / "run") == before
    assert "back1:" not in log
    second = json.loads((folder / "out" / "round2.json").read_text())
    assert "forward2.tagged.de" in (folder / second["reverse"] / "config.yaml").read_text()
    report = (folder / "out" / "report.md").read_text()
    assert all(f"- Round {number}: `" in report for number in (0, 1, 2))
    assert f"| 2 | {second['pairs']} |" in report
    message = refused("back_translate", *arguments, "keep=0.6", cwd=folder)
    assert "was begun with keep=0.5 (here 0.6)" in message


def test_without_source_text_the_reverse_model_learns_from_its_own_translations(run: Path) -> None:
    folder = run.parent
    arguments = [f"run={run}", "text=mono.de", "output=alone", *SHORT, "+training={train.max_steps:10}"]
    process = start("back_translate", *arguments, "rounds=2", "real_copies=2", cwd=folder)
    while not (folder / "alone" / "round1" / "run" / "run.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.terminate()
    _, error = process.communicate(timeout=600)
    assert process.returncode == 143
    assert "the same command continues" in error
    call("back_translate", *arguments, "rounds=2", "real_copies=2", cwd=folder)
    first = (folder / "alone" / "round1" / "reverse" / "config.yaml").read_text()
    second = (folder / "alone" / "round2" / "reverse" / "config.yaml").read_text()
    assert ("back1.tagged.de" in first, "back1.tagged.de" in second) == (False, True)
    assert (folder / "alone" / "round1" / "run" / "config.yaml").read_text().count("train.en") == 2
    arguments[2] = "output=given"
    call("back_translate", *arguments, "rounds=1", "real_copies=2", "reverse=alone/round1/reverse", cwd=folder)
    assert not (folder / "given" / "round1" / "reverse").exists()
    pairs = [(folder / name / "round1.json").read_text() for name in ("alone", "given")]
    assert json.loads(pairs[0])["pairs"] == json.loads(pairs[1])["pairs"]


def test_what_it_refuses(run: Path) -> None:
    folder = run.parent
    common = [f"run={run}", "text=mono.de", "output=refused"]
    shutil.copytree(run, folder / "stopped")
    stopped = RunDirectory(folder / "stopped")
    stopped.write_record(stopped.record() | {"finished": False})
    assert "no text to translate" in refused("back_translate", *common, "forward=true", cwd=folder)
    assert "train.max_stepz" in refused("back_translate", *common, "+training={train.max_stepz:9}", cwd=folder)
    assert "search.n_best=1" in refused("back_translate", *common, "search.n_best=2", cwd=folder)
    assert "is not finished" in refused("back_translate", *common, f"reverse={folder / 'stopped'}", cwd=folder)
    assert "tag is 'B T'" in refused("back_translate", *common, "tag='B T'", cwd=folder)
    assert "reverse=" in (message := refused("back_translate", *common, f"reverse={run}", cwd=folder))
    assert "translates en to de; give a run from de to en" in message
    assert not (folder / "refused").exists()
    assert "nowhere.de" in refused("back_translate", f"run={run}", "text=nowhere.de", "output=refused", cwd=folder)
