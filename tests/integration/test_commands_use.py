"""Integration tests of the evaluate and translate commands on a small run."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import ROOT, SMALL, call, refused, start
from prompt_session import PromptSession

from nmt.run import RunDirectory

pytestmark = pytest.mark.commands

SENTENCES = ["Where is the station?", "", "Please open the door.", "   ", "The bread is fresh."]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("use") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def sacrebleu(run: Path, split: str, *arguments: str) -> float:
    """Return the score computed by sacrebleu's command line."""
    command = [sys.executable, "-m", "sacrebleu", str(run / "data" / f"{split}.tgt"), "-b", "-w", "6", *arguments]
    hypotheses = (run / "scores" / f"{split}.hyp").read_text()
    return float(subprocess.run(command, input=hypotheses, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("arguments", [(), ("search=greedy",), ("search.beam_size=10",), ("checkpoint=last",)])
def test_scores_are_those_of_sacrebleus_command_line(run: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    output, _ = call("evaluate", f"run={run}", "split=valid", *arguments, cwd=tmp_path)
    scores = json.loads((run / "scores" / "valid.json").read_text())
    plus_plus = ("chrf", "--chrf-word-order", "2")
    for name, options in (("bleu", ("bleu",)), ("chrf", ("chrf",)), ("chrfpp", plus_plus), ("ter", ("ter",))):
        assert scores[name]["score"] == pytest.approx(sacrebleu(run, "valid", "-m", *options), abs=1e-5)
        assert scores[name]["signature"] in output
    assert not list(tmp_path.iterdir()), "evaluation leaves nothing where it is called"


def test_the_search_asked_for_is_the_search_recorded(run: Path, tmp_path: Path) -> None:
    call("evaluate", f"run={run}", "search.beam_size=3", cwd=tmp_path)
    made_by = json.loads((run / "scores" / "test.json").read_text())["made_by"]
    assert made_by["search"]["beam_size"] == 3
    assert made_by["search"]["kind"] == "beam"


def test_the_perplexity_is_that_of_training(run: Path, tmp_path: Path) -> None:
    call("evaluate", f"run={run}", "split=valid", cwd=tmp_path)
    record = json.loads((run / "scores" / "valid.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().split("\n") if line]
    (expected,) = [
        line["valid/perplexity"]
        for line in lines
        if line["step"] == record["made_by"]["checkpoint_step"] and "valid/perplexity" in line
    ]
    assert record["perplexity"]["score"] == pytest.approx(expected, rel=1e-5)


def test_a_test_set_of_sacrebleus_and_a_file_of_translations_are_scored_as_sacrebleu_does(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU", str(tmp_path))
    folder = tmp_path / "wmt14" / "full"
    folder.mkdir(parents=True)
    for side, text in (
        ("src", "The soup is good.\nThe wine is good.\n"),
        ("ref", "Die Suppe ist gut.\nDer Wein ist gut.\n"),
        *((side, "x\nx\n") for side in ("docid", "genre", "origlang")),
    ):
        (folder / f"wmt14_full.en-de.{side}").write_text(text)
    output, _ = call("evaluate", f"run={run}", "testset=wmt14/full", cwd=tmp_path)
    stem = run / "scores" / "wmt14_full.en-de"
    record = json.loads(Path(f"{stem}.json").read_text())
    command = [sys.executable, "-m", "sacrebleu", "-t", "wmt14/full", "-l", "en-de", "-i", f"{stem}.hyp", "-w", "9"]
    options = ["-m", "bleu", "chrf", "ter", "--format", "json"]
    # sacrebleu's command line leaves the set out of what it calls its signature.
    printed = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    for name, theirs in zip(("bleu", "chrf", "ter"), json.loads(printed), strict=True):
        assert record[name]["score"] == pytest.approx(theirs["score"], abs=1e-8)
        assert record[name]["signature"] == theirs["signature"].replace("|", "|test:wmt14/full|lang:en-de|", 1)
    scored, _ = call("score", f"hyp={stem}.hyp", "testset=wmt14/full", "pair=en-de", cwd=tmp_path)
    assert scored.split("\n")[:-1] == output.split("\n")[: len(scored.split("\n")) - 1]
    (tmp_path / "ref").write_text("Die Suppe ist gut.\nDer Wein ist gut.\n")
    scored, _ = call("score", f"hyp={stem}.hyp", "ref=ref", cwd=tmp_path)
    assert scored.split("\n")[::2] == [*output.split("\n")[:10:2], ""]


def test_runs_are_compared_by_their_names_alone(run: Path, tmp_path: Path) -> None:
    """The model is untrained, so that only the difference of the two outputs is tested."""
    shutil.copytree(run, tmp_path / "greedy", symlinks=True, ignore=shutil.ignore_patterns("valid.json"))
    call("evaluate", f"run={run}", "search=beam", cwd=tmp_path)
    call("evaluate", "run=greedy", "search=greedy", cwd=tmp_path)
    output, _ = call("compare", str(run), "greedy", "sentences=2", "output=found", cwd=tmp_path)
    assert "search.kind=greedy" in output
    assert "p " in output
    assert "BLEU by training frequency of the rarest source word" in output
    written = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert written == ["compare.json", "compare.md", "compare.png", "sentences.tsv"]
    for arguments, words in (
        ((), "runs is empty"),
        ((str(run), "greedy", "output=found"), "output=found exists already"),
        (("greedy", "split=valid"), "nmt-evaluate run=greedy split=valid"),
        (("greedy", "sentences=3"), "needs exactly two systems, not 1"),
        (("greedy", "bucket=3"), "did you mean buckets?"),
    ):
        assert words in refused("compare", *arguments, cwd=tmp_path)


def test_a_run_is_reported_into_itself_or_into_a_folder(run: Path, tmp_path: Path) -> None:
    for _ in range(2):
        output, _ = call("report", f"run={run}", "examples=1", cwd=tmp_path)
        assert output.split() == [
            f"{run}/{name}" for name in ("report.html", "model_card.md", "appendix.md", "appendix.tex")
        ]
    call("report", f"run={run}", "examples=1", "output=there", cwd=tmp_path)
    assert (tmp_path / "there" / "report.html").read_bytes() == (run / "report.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]
    RunDirectory.open(str(run))
    for arguments, words in (
        ((f"run={run}", "output=there"), "output=there: the folder has a report.html already"),
        ((f"run={run}", "split=train"), "split is 'train'; allowed: valid, test"),
        ((f"run={run}", "output=/dev/null/x"), "choose another folder with output="),
        ((), "run is missing"),
    ):
        assert words in refused("report", *arguments, cwd=tmp_path)


def test_own_files_can_be_scored(run: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("The soup is good.\nThe wine is good.\n")
    (tmp_path / "ref").write_text("Die Suppe ist gut.\nDer Wein ist gut.\n")
    output, _ = call("evaluate", f"run={run}", "src=src", "ref=ref", cwd=tmp_path)
    assert output.startswith("BLEU = ")
    assert list((run / "scores").glob("src.*.hyp"))


def test_a_pipe_gives_a_line_for_each_line(run: Path, tmp_path: Path) -> None:
    given = [*SENTENCES, "👋 \t control \x07 ελληνικά 漢字 \u2028 here", "word " * 10_000]
    output, _ = call("translate", f"run={run}", cwd=tmp_path, given="\n".join(given) + "\n")
    lines = output.split("\n")
    assert len(lines) == len(given) + 1
    assert lines[1] == lines[3] == lines[-1] == ""


def test_a_pipe_answers_each_line_before_the_next_is_sent(run: Path, tmp_path: Path) -> None:
    process = start("translate", f"run={run}", cwd=tmp_path)
    for sentence in ("The tea is hot.", "The bus is late."):
        process.stdin.write(sentence + "\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith("\n")
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_file_is_translated_to_a_file_and_none_is_overwritten(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"The key is here.\n\nlast")
    call("translate", f"run={run}", "input=in.txt", "output=out.txt", cwd=tmp_path)
    assert (tmp_path / "out.txt").read_text().count("\n") == 3
    _, error = call("translate", f"run={run}", "input=in.txt", "output=out.txt", cwd=tmp_path, code=2)
    assert "exists already" in error


def test_n_best_come_with_scores_best_first(run: Path, tmp_path: Path) -> None:
    output, _ = call("translate", f"run={run}", "search.n_best=3", cwd=tmp_path, given="The hotel is old.\n")
    rows = [line.split("\t") for line in output.strip("\n").split("\n")]
    assert {row[0] for row in rows} == {"0"}
    assert 1 < len({row[2] for row in rows}) == len(rows) <= 3
    scores = [float(row[1]) for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_alignments_come_beside_the_translations_of_a_file_and_of_a_pipe(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("The hotel is old.\n\nThe tea is hot.\n")
    call("translate", f"run={run}", "input=in.txt", "output=out.txt", "alignments=links.txt", cwd=tmp_path)
    output, links = ((tmp_path / name).read_text().split("\n") for name in ("out.txt", "links.txt"))
    assert [len(line.split()) for line in links] == [len(line.split()) for line in output]
    piped, _ = call("translate", f"run={run}", "alignments=more.txt", cwd=tmp_path, given="The hotel is old.\n")
    assert piped == output[0] + "\n"
    assert (tmp_path / "more.txt").read_text() == links[0] + "\n"
    _, error = call("translate", f"run={run}", "alignments=more.txt", cwd=tmp_path, given="", code=2)
    assert "alignments=more.txt exists already" in error


def test_the_prompt_translates_lists_shows_attention_and_survives_ctrl_c(run: Path, tmp_path: Path) -> None:
    prompt = PromptSession(tmp_path, f"run={run}")
    for typed, expected in (
        ("The station is closed.", "> "),
        (":attention", "attention, in percent"),
        (":nbest 2", "> "),
        ("The museum is open.", "2. "),
        (":nbest 99", "from 1 to 5"),
        (":nonsense", "no command"),
    ):
        prompt.type(typed, expected)
    time.sleep(0.5)
    prompt.process.send_signal(2)
    time.sleep(0.2)
    prompt.write(":quit")
    prompt.close()
    assert "The station is closed." in (tmp_path / "nmt" / "history").read_text()


def test_an_installed_wheel_has_the_configuration_and_the_commands(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(ROOT)], check=True, cwd=tmp_path
    )
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    assert (target / "bin" / "nmt-train").is_file()
    assert (target / "hydra_plugins" / "nmt_launcher.py").is_file()
    command = [sys.executable, "-m", "nmt.cli.prepare", *[given for given in SMALL if given.startswith("data.")]]
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_dir()


def test_terms_tags_and_columns_of_a_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Where is <b>the station</b>, {name}?\nThe bread is fresh.\n")
    (tmp_path / "terms.tsv").write_text("station\tBahnhof\texact\n")
    terms = ("glossary=terms.tsv", "glossary_report=report.tsv")
    output, error = call("translate", f"run={run}", "input=in.txt", "protect=[placeholders,tags]", *terms, cwd=tmp_path)
    first, second = output.rstrip("\n").split("\n")
    assert all(first.count(piece) == 1 for piece in ("<b>", "</b>", "{name}"))
    assert second == call("translate", f"run={run}", cwd=tmp_path, given="The bread is fresh.\n")[0].rstrip("\n")
    assert "glossary=terms.tsv: 1 term in 1 of 2 sentences" in error
    assert (tmp_path / "report.tsv").read_text().split("\n")[1].startswith("1\tstation\tBahnhof\t")
    output, _ = call("translate", f"run={run}", "output_format=tsv", cwd=tmp_path, given="The bread is fresh.\n")
    header, row = output.rstrip("\n").split("\n")
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True))["text"] == second
    (tmp_path / "terms.tsv").write_text("station Bahnhof\n")
    message = refused("translate", f"run={run}", "input=in.txt", "glossary=terms.tsv", cwd=tmp_path)
    assert "glossary=terms.tsv, line 1 is not source term, tab, target term" in message
