"""The table of a paper: means and spread over seeds by the recorded scores, signatures, and what is refused."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import sacrebleu
from shapes import model_config

from nmt import phrasebook
from nmt.config import CellKind, Config, DataConfig, SearchConfig, TextFiles, TokenizerConfig
from nmt.data import prepare
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.latex import FLOAT_ROWS, latex, latex_text, write_tables
from nmt.lab.comparison.paper_table import paper_tables
from nmt.lab.comparison.report import TitledTable
from nmt.lab.comparison.systems import gather
from nmt.metrics import all_scores
from nmt.run import RunDirectory

SIZES = {"train": 150, "valid": 4, "test_2016": 20, "talks": 12}


def files(name: str) -> TextFiles:
    return TextFiles(src=[f"{name}.en"], tgt=[f"{name}.de"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Write a corpus with two test sets, one of which is a further one."""
    folder = tmp_path_factory.mktemp("corpus")
    pairs = list(phrasebook.splits(sum(SIZES.values()), 1, 1, seed=1)["train"])
    for name, size in SIZES.items():
        part, pairs = pairs[:size], pairs[size:]
        for side in ("en", "de"):
            text = "".join(f"{getattr(pair, side)}\n" for pair in part)
            (folder / f"{name}.{side}").write_text(text, encoding="utf-8")
    tokenizer = TokenizerConfig(vocab_size=120)
    splits = {"train": files("train"), "valid": files("valid"), "test": files("test_2016")}
    tests = {"talks": files("talks")}
    return DataConfig(
        name="own_files", root=str(folder), cache=str(folder / "cache"), tokenizer=tokenizer, tests=tests, **splits
    )


def make_run(folder: Path, corpus: DataConfig, seed: int, every: int, sets: str = "test talks", **model: Any) -> str:
    """Make a run whose translations are the references; some lack their last word. Return its path."""
    config = Config(data=corpus, model=model_config(**model), seed=seed)
    run = RunDirectory(folder)
    run.create(config, prepare(config.data))
    run.add_start({"commit": "0123456789abcdef"})
    for name in sets.split():
        write_record(run, name, seed, every)
    return str(run.path)


def hypotheses(test: EvaluationSet, every: int) -> list[str]:
    lines = test.references[0]
    return [line.rsplit(" ", 1)[0] if at % every == 0 else line for at, line in enumerate(lines)]


def write_record(run: RunDirectory, name: str, seed: int, every: int, tokenize: str = "13a", **made_by: Any) -> None:
    test = EvaluationSet.of_run(run, name)
    lines = hypotheses(test, every)
    record: dict[str, Any] = {
        key: asdict(score) for key, score in all_scores(lines, test.references[0], tokenize).items()
    }
    made = {"checkpoint_step": 9, "seed": seed, "search": asdict(SearchConfig()), "test_set": test.identity()}
    record["made_by"] = made | made_by
    stem = run.folder("scores") / name
    Path(f"{stem}.hyp").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    Path(f"{stem}.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture(scope="module")
def runs(corpus: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three seeds of one system, and one run of another that lacks the further set."""
    folder = tmp_path_factory.mktemp("runs")
    made = [make_run(folder / f"lstm{seed}", corpus, seed, every) for seed, every in ((2, 3), (1, 2), (3, 5))]
    return [*made, make_run(folder / "gru", corpus, 1, 4, "test", cell=CellKind.gru)]


def bleu(run: str, name: str, every: int) -> float:
    """Return the BLEU of a run's translations, computed by sacrebleu alone."""
    test = EvaluationSet.of_run(RunDirectory(Path(run)), name)
    return sacrebleu.corpus_bleu(hypotheses(test, every), [list(test.references[0])]).score


def test_a_cell_is_the_mean_and_the_standard_deviation_over_seeds(runs: list[str]) -> None:
    (table,) = paper_tables(runs, ["bleu"])
    assert table.title == "BLEU, own_files en-de"
    assert table.headings == ["system", "seeds", "test_2016", "talks"]
    cells = {}
    for name in ("test", "talks"):
        scores = [bleu(runs[0], name, every) for every in (2, 3, 5)]
        cells[name] = f"{mean(scores):.1f} ± {stdev(scores):.1f}"
    assert table.rows == [
        ["model.encoder.cell=lstm, model.decoder.cell=lstm", "1 2 3", cells["test"], cells["talks"]],
        ["model.encoder.cell=gru, model.decoder.cell=gru", "1", f"{bleu(runs[3], 'test', 4):.1f}", "-"],
    ]
    notes = "\n".join(table.notes)
    assert re.search(r"^BLEU: nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp\|version:[\d.]+$", notes, re.MULTILINE)
    assert "Sentences: test_2016 20, talks 12." in notes
    assert "model.encoder.cell=lstm, model.decoder.cell=lstm: beam 5," in notes
    assert "steps 9 9 9" in notes
    assert "commit 0123456789ab" in notes
    assert table.notes[-1] == f"-: not scored; score with: nmt-evaluate run=RUN splits=all, for {runs[3]}."


def test_each_metric_gets_a_table(runs: list[str]) -> None:
    tables = paper_tables(runs[:3], ["chrf", "ter"])
    assert [table.title.partition(",")[0] for table in tables] == ["chrF", "TER"]
    with pytest.raises(UserError, match=r"metrics=comet: \S+test.json lacks it; compute it with: nmt-evaluate"):
        paper_tables(runs[:3], ["comet"])


def test_the_files_have_the_same_numbers(runs: list[str], tmp_path: Path) -> None:
    tables = paper_tables(runs, ["bleu", "chrf"])
    markdown, tex = (path.read_text(encoding="utf-8") for path in write_tables(tables, tmp_path / "table"))
    for table in tables:
        for row in table.rows:
            assert all(cell in markdown for cell in row[2:])
            assert all(cell.replace("±", r"$\pm$") in tex for cell in row[2:])
    assert tex.count(r"\begin{tabular}{lrrr}") == 2
    assert r"nrefs:1\textbar\allowbreak{}case:mixed" in tex


def test_a_run_without_scores_is_refused_with_the_command(corpus: DataConfig, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", corpus, 1, 2, "")
    with pytest.raises(
        UserError, match=r"has no scores of a test set; compute them with: nmt-evaluate run=\S+ splits=all$"
    ):
        paper_tables([run], ["bleu"])


def test_sets_that_were_translated_in_different_ways_are_refused(corpus: DataConfig, tmp_path: Path) -> None:
    run = RunDirectory(Path(make_run(tmp_path / "run", corpus, 1, 2)))
    write_record(run, "talks", 1, 2, search=asdict(SearchConfig(beam_size=9)))
    with pytest.raises(UserError, match=r"made with another search\.beam_size; score both in one way: nmt-evaluate"):
        paper_tables([str(run.path)], ["bleu"])
    write_record(run, "talks", 1, 2, checkpoint_step=10)
    with pytest.raises(UserError, match=r"is of step 10 and test\.json of step 9; score all sets again"):
        paper_tables([str(run.path)], ["bleu"])


def test_two_protocols_do_not_share_a_column(corpus: DataConfig, runs: list[str], tmp_path: Path) -> None:
    run = RunDirectory(Path(make_run(tmp_path / "run", corpus, 7, 2, "test")))
    write_record(run, "test", 7, 2, tokenize="none")
    with pytest.raises(UserError, match="bleu has the signature"):
        paper_tables([runs[0], str(run.path)], ["bleu"])
    other = replace(corpus, test=files("talks"))
    lines = make_run(tmp_path / "other", other, 7, 2, "test")
    with pytest.raises(UserError, match="has other lines than that of"):
        paper_tables([runs[0], lines], ["bleu"])


def test_runs_are_compared_on_a_further_test_set(runs: list[str]) -> None:
    systems, test = gather(runs[:3], "talks", "bleu")
    assert [system.seeds for system in systems] == [[1, 2, 3]]
    assert (test.name, len(test.src)) == ("talks", 12)
    with pytest.raises(UserError, match=r"has no scores of its talks set.*nmt-evaluate run=\S+ split=talks$"):
        gather(runs, "talks", "bleu")


def test_latex_escapes_every_special_character() -> None:
    assert latex_text("50 % of #1 & $x_1 {a}") == r"50 \% of \#1 \& \$x\_\allowbreak{}1 \{a\}"
    assert latex_text("~^\\") == r"\textasciitilde{}\textasciicircum{}\textbackslash{}"


def test_a_long_table_breaks_across_pages() -> None:
    grid = TitledTable("title", ["key", "value"], [["a", "b"]] * (FLOAT_ROWS + 1), ["note"])
    assert r"\begin{longtable}{ll}" in latex(grid, "ll")
    assert r"\begin{table}" in latex(replace(grid, rows=grid.rows[1:]), "ll")
