"""Tests of comparisons: tables, files and picture against the recorded scores and sentences."""

import json
import struct
import warnings
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import mean, stdev

import pytest
import sacrebleu
from rich.console import Console
from scored_run import SENTENCES, scored_run, settings
from shapes import model_config

from nmt.cli.app.run_words import with_runs_as_key
from nmt.config import CellKind, ModelConfig
from nmt.data.words import split_words
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison import report as comparison_report
from nmt.lab.comparison.cells import ComparisonVerdict, ScoreCell
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.report import comparison_tables, markdown, p_text, score_columns, show_tables, write_comparison
from nmt.lab.comparison.systems import ScoredRun, System, gather
from nmt.lab.plots.compare import draw_comparison
from nmt.metrics import all_scores, holm, paired_bootstrap, resample, significance
from nmt.run import RunDirectory

LSTM, GRU, RNN = (model_config(cell=cell) for cell in (CellKind.lstm, CellKind.gru, CellKind.rnn))


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speed up the significance tests, which have tests of their own."""
    monkeypatch.setattr(significance, "TRIALS", 200)
    monkeypatch.setattr(significance, "RESAMPLES", 80)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    """Two seeds of a good and of a bad system, a run with the translations of the first run, and a middling run."""
    folder = tmp_path_factory.mktemp("runs")

    def made(name: str, model: ModelConfig, seed: int, broken: Callable[[int], bool]) -> RunDirectory:
        return scored_run(folder / name, settings(folder / "cache", model=model, seed=seed), broken)

    return [
        made("good1", LSTM, 1, lambda at: at % 7 == 0),
        made("good2", LSTM, 2, lambda at: at % 6 == 0),
        made("bad1", GRU, 1, lambda at: at != 5),
        made("bad2", GRU, 2, lambda at: at % 4 != 0),
        made("twin", RNN, 1, lambda at: at % 7 == 0),
        made("middling", model_config(cell=CellKind.gru, encoder_layers=2), 1, lambda at: at % 3 == 0),
    ]


def compared(*runs: RunDirectory, metric: str | None = None) -> Comparison:
    return Comparison(*gather([str(run.path) for run in runs], "test", metric), metric)


def recorded(run: RunDirectory, name: str) -> float:
    return float(json.loads((run.path / "scores" / "test.json").read_text())[name]["score"])


def test_a_system_has_the_mean_and_the_deviation_of_its_runs(runs: list[RunDirectory]) -> None:
    comparison = compared(*runs[:4])
    assert [system.label for system in comparison.systems] == [
        f"model.encoder.cell={cell}, model.decoder.cell={cell}" for cell in ("lstm", "gru")
    ]
    for name in ("bleu", "chrf", "ter"):
        good, bad = comparison.cells[name]
        for cell, pair in ((good, runs[:2]), (bad, runs[2:4])):
            scores = [recorded(run, name) for run in pair]
            assert cell is not None
            assert cell.mean == pytest.approx(mean(scores))
            assert cell.deviation == pytest.approx(stdev(scores))
            assert cell.interval is not None
            assert cell.interval[0] < cell.mean < cell.interval[1]
        assert good is not None
        assert bad is not None
        assert (good.bootstrap_p, good.randomisation_p, good.pairs) == (None, None, 0)
        assert bad.randomisation_p is not None
        assert bad.bootstrap_p is not None
        assert bad.randomisation_p < 0.05 < bad.bootstrap_p  # two seeds that differ a lot show nothing
        assert bad.corrected_p == bad.bootstrap_p  # the larger p; one row is tested
        assert (good.verdict, bad.verdict) == (None, "undecided")
        assert bad.detectable is not None
        assert bad.detectable > abs(bad.mean - good.mean)
        assert bad.pairs == 2
        alone = compared(runs[0], runs[2]).cells[name][1]
        assert alone is not None
        assert alone.verdict == "worse"  # also for TER, of which a bad system has the higher score
        assert alone.detectable is not None
        back = compared(runs[2], runs[0]).cells[name][1]
        assert back is not None
        assert back.verdict == "better"


def test_no_test_is_made_where_chance_has_no_part(runs: list[RunDirectory]) -> None:
    """sacrebleu's formula gives its smallest p to two systems with the same translations."""
    good, twin = compared(runs[0], runs[4]).cells["bleu"]
    assert good is not None
    assert twin == replace(good, verdict="undecided")
    assert score_columns(twin)[2:] == ["", "", "", "undecided, same translations", ""]


def test_p_is_corrected_for_the_rows_of_the_table_that_are_tested(runs: list[RunDirectory]) -> None:
    """Two rows are tested against the first; a third has the same translations as the first and is not."""
    column = compared(runs[0], runs[4], runs[2], runs[5]).cells["bleu"]
    tested = [cell for cell in column if cell is not None and cell.corrected_p is not None]
    raw = [max(cell.bootstrap_p or 0, cell.randomisation_p or 0) for cell in tested]
    assert len(tested) == 2
    assert [cell.corrected_p for cell in tested] == pytest.approx(holm(raw))
    alone = compared(runs[0], runs[2]).cells["bleu"][1]
    assert alone is not None
    assert alone.detectable is not None
    assert tested[0].detectable is not None
    assert alone.bootstrap_p == tested[0].bootstrap_p
    assert tested[0].detectable > alone.detectable  # at half the level


def test_translations_by_the_same_models_are_tested_by_what_changed(runs: list[RunDirectory]) -> None:
    """Test two systems of a bad and a good run, once as trained apart and once as two searches with the same models."""
    good, _, bad, bad2, twin = (ScoredRun.open(run, "test") for run in runs[:5])
    first, apart = System([bad, good], "first"), System([bad2, twin], "apart")
    search = System([replace(bad2, run=bad.run), replace(twin, run=good.run)], "search")
    test = EvaluationSet.of_run(runs[0], "test")
    comparisons = [Comparison([first, system], test, "chrf") for system in (apart, search)]
    sides = [resample(comparisons[0].scorers["chrf"], tables or []) for tables in comparisons[0].tables["chrf"]]
    expected = [paired_bootstrap(*sides, same_models=same_models) for same_models in (False, True)]
    cells = [comparison.cells["chrf"][1] for comparison in comparisons]
    assert [cell and cell.bootstrap_p for cell in cells] == expected
    assert expected[1] < expected[0]


def test_a_score_that_a_run_lacks_or_that_has_no_sentence_statistics_is_shown_without_tests(
    runs: list[RunDirectory], tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    made = [scored_run(folder / str(at), replace(runs[at].config(), seed=at), lambda at: at < 4) for at in (0, 2)]
    for run, extra in zip(
        made, ({"perplexity": {"score": 4.5, "signature": "pieces", "interval": [4, 5]}}, {}), strict=True
    ):
        path = run.path / "scores" / "test.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | extra))
    comparison = compared(*made)
    assert comparison.cells["perplexity"] == [ScoreCell(4.5, None, (4, 5)), None]
    assert comparison.metric == "bleu"
    only = compared(made[0], metric="perplexity")
    assert [breakdown.missing for breakdown in only.breakdowns(4)] == [
        "perplexity cannot be computed on a subset of the sentences"
    ] * 3
    with pytest.raises(UserError, match="has no score metric=perplexity"):
        compared(*made, metric="perplexity")


def test_translations_that_do_not_have_the_recorded_score_are_refused(runs: list[RunDirectory], tmp_path: Path) -> None:
    run = scored_run(tmp_path / "run", runs[0].config(), lambda at: False)
    (run.path / "scores" / "test.hyp").write_text("Etwas anderes .\n" * SENTENCES)
    with pytest.raises(UserError, match=r"has bleu \d.* but 100\.00 was recorded; .*nmt-evaluate run=.* split=test$"):
        compared(run)


def test_systems_are_tested_against_several_references(
    runs: list[RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    src, references = runs[0].text("test")
    others = [" ".join(reversed(line.split())) for line in references]
    named = EvaluationSet("wmt99", src, [references, others], {"test": "wmt99", "lang": "en-de"})
    monkeypatch.setattr(EvaluationSet, "of_sacrebleu", lambda name, pair: named)
    made = [scored_run(tmp_path / str(at), runs[at].config(), lambda at: True) for at in (0, 2)]
    with pytest.raises(
        UserError, match=r"has no scores of testset=wmt99; compute them with: nmt-evaluate run=\S+ test"
    ):
        gather([str(run.path) for run in made], "test", None, "wmt99")
    for run, lines in zip(made, (references[1:] + references[:1], references), strict=True):
        scores = all_scores(lines, references, "13a", [others], named.labels)
        made_by = {"seed": 1, "search": {}, "test_set": named.identity()}
        record = {name: score.record() for name, score in scores.items()} | {"made_by": made_by}
        folder = run.folder("scores")
        (folder / "wmt99.en-de.json").write_text(json.dumps(record), encoding="utf-8")
        (folder / "wmt99.en-de.hyp").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    comparison = Comparison(*gather([str(run.path) for run in made], "test", None, "wmt99"))
    assert comparison.signatures["bleu"].startswith("nrefs:2|test:wmt99|")
    for name in ("bleu", "chrf", "chrfpp", "ter"):
        cell = comparison.cells[name][1]
        assert cell is not None
        assert cell.verdict == "better"
        assert cell.mean == pytest.approx(0 if name == "ter" else 100)
    assert "wmt99 set, 24 sentences, 2 references" in str(comparison_tables(comparison, [], []))
    named.references[1][0] = "other"
    with pytest.raises(UserError, match="has scores of other sentences than the test set wmt99; score it again"):
        gather([str(run.path) for run in made], "test", None, "wmt99")


def test_a_score_of_more_references_than_the_split_has_is_refused(runs: list[RunDirectory], tmp_path: Path) -> None:
    run = scored_run(tmp_path / "run", runs[0].config(), lambda at: False)
    path = run.path / "scores" / "test.json"
    path.write_text(path.read_text().replace("nrefs:1", "nrefs:2"))
    with pytest.raises(UserError, match=r"bleu was computed with 2 references .* but the test set has 1; score it"):
        compared(run)


def test_a_script_without_spaces_is_grouped_by_characters(
    runs: list[RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = compared(runs[0])
    lines = ["我们明天去北京。"] * 12 + ["你好！"] * 12
    comparison.test = replace(comparison.test, src=lines)
    counts = {"你好": 9, "你": 3, "好": 2} | dict.fromkeys("我们明天去北京", 7)
    monkeypatch.setattr(RunDirectory, "word_counts", lambda self, side: counts)
    by_length, by_source, by_reference = comparison.breakdowns(2)
    assert (by_length.title, by_length.groups) == ("characters of the source", ["3", "8"])
    assert (by_source.title, by_source.groups) == (
        "training frequency of the rarest source character",
        ["2", "7"],
    )
    assert by_reference.title == "training frequency of the rarest reference word"
    counts.clear()
    assert "has no characters" in comparison.breakdowns(2)[1].missing


def test_scores_by_length_are_those_of_the_sentences_of_that_length(runs: list[RunDirectory]) -> None:
    by_length, *_ = compared(*runs[:4]).breakdowns(3)
    src, references = runs[0].text("test")
    assert sum(by_length.sizes) == SENTENCES
    for group, name in enumerate(by_length.groups):
        low, _, high = name.partition("–")
        chosen = [at for at, line in enumerate(src) if int(low) <= len(line.split()) <= int(high or low)]
        assert by_length.sizes[group] == len(chosen)
        for row, pair in enumerate((runs[:2], runs[2:4])):
            scores = []
            for run in pair:
                lines = (run.path / "scores" / "test.hyp").read_text(encoding="utf-8").split("\n")
                wanted = [[side[at] for at in chosen] for side in (lines, references)]
                scores.append(sacrebleu.corpus_bleu(wanted[0], [wanted[1]]).score)
            assert by_length.cells[row][group].mean == pytest.approx(mean(scores))


def test_the_rarest_word_is_the_one_with_the_lowest_training_frequency(runs: list[RunDirectory]) -> None:
    _, by_source, by_reference = compared(runs[0]).breakdowns(1)
    for breakdown, side, lines in zip((by_source, by_reference), ("src", "tgt"), runs[0].text("test"), strict=True):
        counts = runs[0].word_counts(side)
        assert counts is not None
        rarest = sorted(min(counts[word] for word in split_words(line)) for line in lines)
        assert breakdown.groups == [f"{rarest[0]:,}–{rarest[-1]:,}"]
        assert side == "tgt" or "source" in breakdown.title


def test_an_older_run_names_its_missing_file(runs: list[RunDirectory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunDirectory, "word_counts", lambda self, side: None)
    breakdowns = compared(runs[0]).breakdowns(2)
    assert [bool(breakdown.cells) for breakdown in breakdowns] == [True, False, False]
    assert "data/words.json" in breakdowns[1].missing


@pytest.mark.parametrize("metric", ["bleu", "chrf", "ter"])
def test_the_sentences_that_differ_most_come_first_with_both_translations(
    runs: list[RunDirectory], metric: str
) -> None:
    comparison = compared(*runs[:4], metric=metric)
    differences = comparison.differences(SENTENCES)
    gaps = [abs(one - other) for one, other in (difference.scores for difference in differences)]
    assert gaps == sorted(gaps, reverse=True)
    assert min(gaps) > 0
    src, references = runs[0].text("test")
    translations = [(run.path / "scores" / "test.hyp").read_text(encoding="utf-8").split("\n") for run in runs]
    for difference in differences:
        at = difference.line - 1
        assert (difference.src, difference.reference) == (src[at], references[at])
        assert difference.translations == (translations[0][at], translations[2][at])
    assert comparison.differences(2) == differences[:2]


def test_sentences_are_shown_of_two_systems_alone(runs: list[RunDirectory]) -> None:
    with pytest.raises(UserError, match=r"^sentences=5 needs exactly two systems, not 3$"):
        compared(runs[0], runs[2], runs[4]).differences(5)


def test_the_columns_of_a_score_are_mean_interval_p_values_verdict_and_detectable_difference() -> None:
    better = ScoreCell(36.416, 0.27, (34.81, 38.0), 0.0123, 0.0004, 3, 0.0246, 1.26, ComparisonVerdict.better)
    assert score_columns(better) == ["36.42 ± 0.27", "[34.8, 38.0]", ".012", "<.001", ".025", "better", "1.3"]
    undecided = ScoreCell(36.416, None, (34.81, 38.0), 0.2, 0.01, 1, 0.4, 2.0, ComparisonVerdict.undecided)
    assert score_columns(undecided) == ["36.42", "[34.8, 38.0]", ".200", ".010", ".400", "undecided", "2.0"]
    assert score_columns(replace(undecided, detectable=100.0))[-1] == "100.0"
    assert score_columns(replace(undecided, detectable=100.1))[-1] == "none"
    assert score_columns(ScoreCell(4.5, None)) == ["4.50", *[""] * 6]
    assert score_columns(ScoreCell(0.81234, 0.00126, (0.80881, 0.81999)), 4)[:2] == [
        "0.8123 ± 0.0013",
        "[0.809, 0.820]",
    ]
    assert score_columns(None) == ["-", *[""] * 6]
    assert [p_text(p) for p in (0.00099, 0.001, 0.05, 0.9999)] == ["<.001", ".001", ".050", "1.000"]


def test_the_table_on_standard_output_has_every_system_signature_and_note(
    runs: list[RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    runs[0].add_facts(parameters=8_900_000, seconds=90, cpu_seconds=95, peak_memory_bytes=3 * 2**29)
    comparison = compared(*runs[:4])
    show_tables(comparison_tables(comparison, comparison.breakdowns(2), comparison.differences(3)))
    printed = capsys.readouterr().out
    for part in (
        "model.encoder.cell=lstm",
        "model.encoder.cell=gru",
        "1 2",
        "BLEU by words of the source",
        "standard deviation",
    ):
        assert part in printed
    for signature in comparison.signatures.values():
        assert printed.count(signature) == 1
    assert str(runs[3].path) in printed
    assert "8.90 M" not in printed  # the other seed's run did not record its parameters
    assert "8.90 M" in str(comparison_tables(compared(runs[0]), [], []))
    assert "1.50 GiB" in str(comparison_tables(compared(runs[0]), [], []))


def test_text_with_signs_of_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = comparison_report.TitledTable("a [b]", ["[bold]"], [["<unk> | *x* [red]y\nz"]], ["[1.0] _n_"])
    out = StringIO()
    monkeypatch.setattr(comparison_report, "Console", lambda width=60: Console(file=out, width=width))
    show_tables([grid])
    for part in ("a [b]", "[bold]", "<unk> | *x* [red]y", "[1.0] _n_"):
        assert part in out.getvalue()
    assert markdown(grid).split("\n") == [
        r"## a \[b\]",
        "",
        r"| \[bold\] |",
        "|---|",
        r"| &lt;unk&gt; \| \*x\* \[red\]y<br>z |",
        "",
        r"- \[1.0\] \_n\_",
        "",
    ]


def test_the_files_hold_what_was_compared(runs: list[RunDirectory], tmp_path: Path) -> None:
    comparison = compared(*runs[:4])
    breakdowns, differences = comparison.breakdowns(2), comparison.differences(4)
    write_comparison(comparison, breakdowns, differences, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_comparison(comparison, breakdowns, tmp_path / "compare.png")

    record = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert [system["seeds"] for system in record["systems"]] == [[1, 2], [1, 2]]
    assert record["systems"][1]["runs"] == [str(run.path) for run in runs[2:4]]
    cell = comparison.cells["ter"][1]
    assert cell is not None
    assert record["systems"][1]["scores"]["ter"]["bootstrap_p"] == cell.bootstrap_p
    assert record["breakdowns"][0]["sizes"] == breakdowns[0].sizes
    assert record["signatures"] == comparison.signatures

    page = (tmp_path / "compare.md").read_text(encoding="utf-8")
    tables = [line for line in page.split("\n") if line.startswith("|")]
    assert {line.count("|") - line.count(r"\|") for line in tables if "chrF" in line} == {10}
    assert sum(line.startswith("| chrF |") for line in tables) == 2  # one row per score and system
    assert page.count("\n## ") == 6
    numbers = [line for line in page.partition("\n## Sentences with")[0].split("\n") if line.startswith("|")]
    assert max(map(len, numbers)) <= 140

    rows = [line.split("\t") for line in (tmp_path / "sentences.tsv").read_text(encoding="utf-8").split("\n")[:-1]]
    assert rows[0][0] == "line"
    assert [int(row[0]) for row in rows[1:]] == [difference.line for difference in differences]
    assert {len(row) for row in rows} == {7}
    assert rows[1][5:] == list(differences[0].translations)

    content = (tmp_path / "compare.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])
    assert width > height > 300


def test_words_without_a_key_are_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cell=gru").mkdir()
    assert with_runs_as_key(["a", "split=valid", "cell=gru", "b c"]) == ["split=valid", 'runs=["a", "cell=gru", "b c"]']
    assert with_runs_as_key(["--cfg", "job", "über"]) == ["--cfg", "job", 'runs=["über"]']
    assert with_runs_as_key(["--help"]) == ["--help"]
    assert with_runs_as_key(["runs=[a]"]) == ["runs=[a]"]
