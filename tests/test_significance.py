"""Paired tests and intervals: sacrebleu's own to the last digit, and over several runs what enumeration finds."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from nmt.data.phrasebook import Pair
from nmt.metrics import Resampled, Scorer, all_scores, approximate_randomisation, paired_bootstrap, resample
from nmt.metrics import significance as module

METRICS = {"BLEU": BLEU(), "chrF2": CHRF(), "chrF2++": CHRF(word_order=2), "TER": TER()}


def worse(lines: list[str], chosen: range) -> list[str]:
    """The sentences, some without their second word and with the first at the end."""
    broken = [" ".join([*line.split()[2:], line.split()[0]]) for line in lines]
    return [broken[number] if number in chosen else line for number, line in enumerate(lines)]


@pytest.fixture(scope="module")
def texts(phrases: list[Pair]) -> dict[str, list[str]]:
    references = [pair.de for pair in phrases[:60]]
    return {"ref": references, "a": worse(references, range(0, 60, 3)), "b": worse(references, range(1, 60, 2))}


def signature(metric: BLEU | CHRF | TER) -> str:
    metric.corpus_score(["a"], [["a"]])
    return str(metric.get_signature())


@pytest.mark.parametrize(
    ("test", "metrics"),
    [("bs", ("bleu",)), ("ar", ("bleu", "chrf", "ter"))],  # of the other two it fails to print JSON with --paired-bs
)
def test_the_p_values_of_two_runs_are_those_of_sacrebleus_command_line(
    texts: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, metrics: tuple[str, ...]
) -> None:
    monkeypatch.setattr(module, "TRIALS", 1000)
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    options = ["-i", "a", "b", f"--paired-{test}", "--paired-ar-n", "1000", "-m", *metrics, "-f", "json", "-w", "9"]
    command = [sys.executable, "-m", "sacrebleu", "ref", *options]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    _, system = json.loads(printed)
    for name in metrics:
        expected = system[{"chrf": "chrF2"}.get(name, name.upper())]
        scorer = Scorer.of(all_scores(texts["a"], texts["ref"], "13a")[name].signature)
        assert scorer is not None
        a, b = (scorer.table(texts[name], texts["ref"]) for name in "ab")
        p = (
            approximate_randomisation(scorer, [a], [b])
            if test == "ar"
            else paired_bootstrap(resample(scorer, [a]), resample(scorer, [b]))
        )
        assert p == expected["p_value"]
        assert 0.002 < p < 0.998
        assert resample(scorer, [b]).mean == pytest.approx(expected["score"], abs=1e-8)


@pytest.mark.parametrize("name", METRICS)
def test_resamples_are_those_of_sacrebleus_paired_test(texts: dict[str, list[str]], name: str) -> None:
    systems = [(system, texts[system]) for system in "ab"]
    _, expected = PairedTest(systems, {name: METRICS[name]}, [texts["ref"]], test_type="bs")()
    scorer = Scorer.of(signature(METRICS[name]))
    assert scorer is not None
    a, b = (resample(scorer, [scorer.table(texts[system], texts["ref"])]) for system in "ab")
    assert paired_bootstrap(a, b) == expected[name][1].p_value
    for own, theirs in zip((a, b), expected[name], strict=True):
        assert own.mean == theirs.score
        low, high = own.interval()
        assert (high - low) / 2 == pytest.approx(theirs.ci, abs=1e-6)
        assert low < own.mean < high


@pytest.mark.parametrize(
    "given",
    [
        "nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:1|case:mixed|eff:yes|nc:4|nw:0|space:no|version:2.6.0",
        "library:another|version:1",
        "",
    ],
)
def test_a_score_that_is_computed_otherwise_is_not_resampled(given: str) -> None:
    assert Scorer.of(given) is None


def test_the_name_of_a_test_set_and_the_version_do_not_change_how_a_score_is_computed() -> None:
    given = "nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|test:wmt14|lang:en-de|version:2.4.0"
    scorer = Scorer.of(given)
    assert scorer is not None
    lines = ["a b c d ,e", "f g h ."]
    table = scorer.table(["a b c d ,e", "f g h"], lines)
    assert scorer.score(table.sum(axis=0)) == BLEU(tokenize="none").corpus_score(["a b c d ,e", "f g h"], [lines]).score


@pytest.mark.parametrize("name", METRICS)
def test_a_sentence_scores_as_it_does_alone(texts: dict[str, list[str]], name: str) -> None:
    scorer = Scorer.of(signature(METRICS[name]))
    assert scorer is not None
    alone = BLEU(effective_order=True) if name == "BLEU" else METRICS[name]
    expected = [alone.sentence_score(a, [r]).score for a, r in zip(texts["a"], texts["ref"], strict=True)]
    found = scorer.sentence_scores(scorer.table(texts["a"], texts["ref"]))
    assert found.tolist() == pytest.approx(expected)


class Mean:
    """In place of a metric: the mean of a count."""

    def score(self, sums: np.ndarray) -> float:
        return float(sums[0] / sums[1])


def counted(*counts: int) -> np.ndarray:
    return np.array([(count, 1) for count in counts])


RUNS = ([counted(4, 0, 3, 5), counted(2, 1, 7, 0)], [counted(1, 0, 1, 1), counted(0, 2, 3, 1)])


def test_randomisation_over_pairs_of_runs_finds_what_enumeration_finds() -> None:
    """All ways in which each pair of runs may swap each sentence."""
    first, second = (np.array([run[:, 0] for run in runs]) for runs in RUNS)  # (2, 4): runs, sentences
    found = abs(first.mean() - second.mean())
    by_chance = [
        abs((np.array(signs).reshape(2, 4) * (first - second)).mean()) for signs in itertools.product((1, -1), repeat=8)
    ]
    expected = np.mean(np.array(by_chance) > found + 1e-12)
    assert 0.02 < expected < 0.5
    assert approximate_randomisation(Mean(), *RUNS) == pytest.approx(expected, abs=0.012)  # 10,000 trials: 3 sigma


def test_randomisation_leaves_out_runs_that_have_no_counterpart() -> None:
    first, second = RUNS
    alone = approximate_randomisation(Mean(), first[:1], second[:1])
    assert approximate_randomisation(Mean(), first, second[:1]) == alone
    assert approximate_randomisation(Mean(), first[:1], second) == alone
    assert approximate_randomisation(Mean(), first, second) != alone


def test_the_interval_of_several_runs_covers_the_chance_of_the_seed() -> None:
    """Where all sentences are alike, only the seeds vary: 27 ways to draw three of them."""
    tables = [counted(*[level] * 5) for level in (10, 16, 40)]
    drawn = resample(Mean(), tables).draws(0)
    expected = Counter(sum(levels) / 3 for levels in itertools.product((10, 16, 40), repeat=3))
    shares = {round(level, 4): times / 27 for level, times in expected.items()}
    found = Counter(np.round(drawn.astype(float), 4).tolist())
    assert set(found) == set(shares)
    assert {level: times / 1000 for level, times in found.items()} == pytest.approx(shares, abs=0.05)
    assert resample(Mean(), tables).interval() == (10, 40)
    assert resample(Mean(), tables[:1]).interval() == (10, 10)


def test_the_bootstrap_of_several_runs_does_not_take_a_lucky_seed_for_a_better_system() -> None:
    sentences = np.ones((3, 1000))
    spread = np.array([[20.0], [30.0], [40.0]])
    low, high = Resampled([20, 30, 40], spread * sentences), Resampled([25, 35, 45], (spread + 5) * sentences)
    assert paired_bootstrap(low, high) > 0.3
    sure = Resampled([60, 70, 80], (spread + 40) * sentences)
    assert paired_bootstrap(low, sure) < 0.01
