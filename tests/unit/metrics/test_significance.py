"""Paired tests and intervals against sacrebleu to the last digit, and over several runs against enumeration."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist, stdev

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest
from sacrebleu_ties import without_ties

from nmt.metrics import (
    Resampled,
    Scorer,
    all_scores,
    approximate_randomisation,
    holm,
    minimum_detectable_effect,
    paired_bootstrap,
    resample,
)
from nmt.metrics import significance as module
from nmt.phrasebook import Pair

METRICS = {"BLEU": BLEU(), "chrF2": CHRF(), "chrF2++": CHRF(word_order=2), "TER": TER()}


def worse(lines: list[str], chosen: range) -> list[str]:
    """Return the sentences with some of them degraded: second word removed, first word moved to the end."""
    broken = [" ".join([*line.split()[2:], line.split()[0]]) for line in lines]
    return [broken[number] if number in chosen else line for number, line in enumerate(lines)]


@pytest.fixture(scope="module")
def texts(phrases: list[Pair]) -> dict[str, list[str]]:
    references = [pair.de for pair in phrases[:60]]
    return {"ref": references, "a": worse(references, range(0, 60, 3)), "b": worse(references, range(1, 60, 2))}


def signature(metric: BLEU | CHRF | TER) -> str:
    metric.corpus_score(["a"], [["a"]])
    return str(metric.get_signature())


def test_text_that_is_tokenised_on_purpose_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Check that sacrebleu's warning about a hundred lines that end in a separate period is suppressed."""
    lines = ["we buy bread ."] * 100
    for tokenize, warned in (("none", False), ("13a", True)):
        scorer = Scorer.from_signature(all_scores(["a"], ["a"], tokenize)["bleu"].signature)
        assert scorer is not None
        caplog.clear()
        scorer.table(lines, lines)
        assert bool(caplog.records) == warned


@pytest.mark.parametrize(
    ("test", "metrics"),
    [
        ("bs", ("bleu",)),
        ("ar", ("bleu", "chrf", "ter")),
    ],  # sacrebleu fails to print JSON for chrF and TER with --paired-bs
)
def test_the_p_values_of_two_runs_are_those_of_sacrebleus_command_line(
    texts: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str, metrics: tuple[str, ...]
) -> None:
    monkeypatch.setattr(module, "TRIALS", 1000)
    monkeypatch.setattr(module, "p_value", without_ties)
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    options = ["-i", "a", "b", f"--paired-{test}", "--paired-ar-n", "1000", "-m", *metrics, "-f", "json", "-w", "9"]
    command = [sys.executable, "-m", "sacrebleu", "ref", *options]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    _, system = json.loads(printed)
    for name in metrics:
        expected = system[{"chrf": "chrF2"}.get(name, name.upper())]
        scorer = Scorer.from_signature(all_scores(texts["a"], texts["ref"], "13a")[name].signature)
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


@pytest.mark.parametrize("test", ["bs", "ar"])
def test_the_p_values_with_two_references_are_those_of_sacrebleus_command_line(
    texts: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, test: str
) -> None:
    monkeypatch.setattr(module, "TRIALS", 1000)
    monkeypatch.setattr(module, "p_value", without_ties)
    written = texts | {"ref2": worse(texts["ref"], range(0, 60, 5))}
    for name, lines in written.items():
        (tmp_path / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    metrics = ("bleu",) if test == "bs" else ("bleu", "chrf", "ter")
    options = ["-i", "a", "b", f"--paired-{test}", "--paired-ar-n", "1000", "-m", *metrics, "-f", "json", "-w", "9"]
    command = [sys.executable, "-m", "sacrebleu", "ref", "ref2", *options]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    _, system = json.loads(printed)
    scores = all_scores(texts["b"], texts["ref"], "13a", [written["ref2"]])
    for name in metrics:
        expected = system[{"chrf": "chrF2"}.get(name, name.upper())]
        assert scores[name].signature.startswith("nrefs:2|")
        scorer = Scorer.from_signature(scores[name].signature)
        assert scorer is not None
        a, b = (scorer.table(texts[system], texts["ref"], written["ref2"]) for system in "ab")
        assert resample(scorer, [b]).mean == pytest.approx(expected["score"], abs=1e-8)
        p = (
            approximate_randomisation(scorer, [a], [b])
            if test == "ar"
            else paired_bootstrap(resample(scorer, [a]), resample(scorer, [b]))
        )
        assert p == expected["p_value"]
        assert 0.001 < p < 0.999


@pytest.mark.parametrize("name", METRICS)
def test_resamples_are_those_of_sacrebleus_paired_test(texts: dict[str, list[str]], name: str) -> None:
    systems = [(system, texts[system]) for system in "ab"]
    _, expected = PairedTest(systems, {name: METRICS[name]}, [texts["ref"]], test_type="bs")()
    scorer = Scorer.from_signature(signature(METRICS[name]))
    assert scorer is not None
    a, b = (resample(scorer, [scorer.table(texts[system], texts["ref"])]) for system in "ab")
    assert paired_bootstrap(a, b) == expected[name][1].p_value
    for computed, theirs in zip((a, b), expected[name], strict=True):
        assert computed.mean == theirs.score
        low, high = computed.interval()
        assert (high - low) / 2 == pytest.approx(theirs.ci, abs=1e-6)
        assert low < computed.mean < high


@pytest.mark.parametrize(
    "signature_text",
    [
        "nrefs:0|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:1000000000|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:1|case:lc|tok:tercom|norm:no|punct:no|asian:no|version:2.6.0",
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|tok:zh|version:2.6.0",
        "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:2.6.0",
        "nrefs:1|case:mixed|eff:yes|nc:4|nw:0|space:no|version:2.6.0",
        "library:another|version:1",
        "",
    ],
)
def test_a_score_that_is_computed_otherwise_is_not_resampled(signature_text: str) -> None:
    assert Scorer.from_signature(signature_text) is None


def test_the_name_of_a_test_set_and_the_version_do_not_change_how_a_score_is_computed() -> None:
    signature_text = "nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|test:wmt14|lang:en-de|version:2.4.0"
    scorer = Scorer.from_signature(signature_text)
    assert scorer is not None
    lines = ["a b c d ,e", "f g h ."]
    table = scorer.table(["a b c d ,e", "f g h"], lines)
    assert scorer.score(table.sum(axis=0)) == BLEU(tokenize="none").corpus_score(["a b c d ,e", "f g h"], [lines]).score


@pytest.mark.parametrize("name", METRICS)
def test_a_sentence_scores_as_it_does_alone(texts: dict[str, list[str]], name: str) -> None:
    scorer = Scorer.from_signature(signature(METRICS[name]))
    assert scorer is not None
    alone = BLEU(effective_order=True) if name == "BLEU" else METRICS[name]
    expected = [alone.sentence_score(a, [r]).score for a, r in zip(texts["a"], texts["ref"], strict=True)]
    actual = scorer.sentence_scores(scorer.table(texts["a"], texts["ref"]))
    assert actual.tolist() == pytest.approx(expected)


class Mean:
    """Stand-in for a metric: the mean of a count."""

    def score(self, sums: np.ndarray) -> float:
        return float(sums[0] / sums[1])

    def scores(self, sums: np.ndarray) -> np.ndarray:
        return sums[:, 0] / sums[:, 1]


def counted(*counts: int) -> np.ndarray:
    return np.array([(count, 1) for count in counts])


RUNS = (
    [counted(4, 0, 3, 5, 2, 6, 1, 3), counted(2, 1, 7, 0, 4, 4, 2, 5)],
    [counted(1, 0, 1, 1, 3, 2, 0, 4), counted(0, 2, 3, 1, 7, 5, 2, 6)],
)


def test_randomisation_over_pairs_of_runs_finds_what_enumeration_finds() -> None:
    """Enumerate all ways to swap sentences between the systems, in both pairs of runs at once."""
    first, second = (np.array([run[:, 0] for run in runs]) for runs in RUNS)  # (2, 8): runs, sentences
    actual = abs(first.mean() - second.mean())
    by_chance = [abs((np.array(signs) * (first - second)).mean()) for signs in itertools.product((1, -1), repeat=8)]
    expected = np.mean(np.array(by_chance) > actual - 1e-12)
    assert 0.02 < expected < 0.5
    assert approximate_randomisation(Mean(), *RUNS) == pytest.approx(expected, abs=0.015)  # 10,000 trials: 3 sigma


@pytest.mark.parametrize("differing", [1, 2, 4, 8])
def test_a_difference_in_few_sentences_is_not_significant(differing: int) -> None:
    """Sentences that all differ by the same amount: of 2^n ways to swap them, two differ as much as observed."""
    first = counted(*[5] * 50)
    second = counted(*[6] * differing, *[5] * (50 - differing))
    expected = 2.0 ** (1 - differing)
    assert approximate_randomisation(Mean(), [first], [second]) == pytest.approx(expected, abs=0.015)
    assert approximate_randomisation(Mean(), [first] * 3, [second] * 3) == pytest.approx(expected, abs=0.015)


def test_randomisation_leaves_out_runs_that_have_no_counterpart() -> None:
    first, second = RUNS
    alone = approximate_randomisation(Mean(), first[:1], second[:1])
    assert approximate_randomisation(Mean(), first, second[:1]) == alone
    assert approximate_randomisation(Mean(), first[:1], second) == alone
    assert approximate_randomisation(Mean(), first, second) != alone


def test_the_interval_of_several_runs_covers_the_chance_of_the_seed() -> None:
    """Check identical sentences against Student's interval: for three runs 4.303 standard errors to each side."""
    tables = [counted(*[level] * 5) for level in (10, 16, 40)]
    low, high = resample(Mean(), tables).interval()
    error = stdev((10, 16, 40)) / 3**0.5
    assert (low, high) == pytest.approx((22 - 4.303 * error, 22 + 4.303 * error), abs=0.5 * error)
    assert resample(Mean(), tables[:1]).interval() == (10, 10)


def runs(*scores: float) -> Resampled:
    """Return runs on identical sentences."""
    return Resampled(list(scores), np.array([[score] * 1000 for score in scores]))


@pytest.mark.parametrize(
    ("first", "second", "expected"),  # Welch's test: t is 2.449, 2.068 and 0.245, degrees of freedom 4, 2.04 and 4
    [
        ((1, 2, 3), (3, 4, 5), 0.0705),
        ((0, 5, 10), (10.5, 11, 11.5), 0.1720),
        ((20, 30, 40), (22, 32, 42), 0.8186),
        ((5, 5, 5), (6, 6, 6), 0),
    ],
)
def test_the_bootstrap_of_several_runs_is_welchs_test_where_only_the_seeds_vary(
    first: tuple[float, ...], second: tuple[float, ...], expected: float
) -> None:
    assert paired_bootstrap(runs(*first), runs(*second)) == pytest.approx(expected, abs=0.013)  # 10,000 draws: 3 sigma


@pytest.mark.parametrize("sizes", [(3, 3), (1, 3), (1, 5), (3, 1)])
def test_equal_systems_differ_by_few_seeds_no_more_often_than_the_level(sizes: tuple[int, int]) -> None:
    """Check the size of the test with few seeds.

    Resampling three runs with replacement would call a fifth of such pairs significant; assuming no variance for a
    single run would call 13 % significant against three runs and 30 % against five.
    """
    random = np.random.default_rng(3)
    actual = [paired_bootstrap(*(runs(*random.normal(size=size)) for size in sizes)) for _ in range(200)]
    assert 0.02 < np.mean(np.array(actual) < 0.05) < 0.085


def test_a_single_run_against_several_is_students_test_of_two_samples() -> None:
    """Compare with t = 4 / sqrt(1 + 1/3) = 3.464, 2 degrees of freedom."""
    assert paired_bootstrap(runs(6), runs(1, 2, 3)) == pytest.approx(0.0742, abs=0.008)


def test_the_same_models_with_another_search_are_students_paired_test() -> None:
    first, shifted, other = (20.0, 30.0, 40.0), (20.5, 30.5, 40.5), (21.0, 32.0, 43.0)
    assert paired_bootstrap(runs(*first), runs(*shifted)) > 0.9
    assert paired_bootstrap(runs(*first), runs(*shifted), same_models=True) < 0.01
    # The changes 1, 2 and 3: t = 2 / (1 / sqrt(3)) = 3.464 with 2 degrees of freedom.
    assert paired_bootstrap(runs(*first), runs(*other), same_models=True) == pytest.approx(0.0742, abs=0.008)


def test_the_bootstrap_of_several_runs_covers_the_chance_of_the_sentences_too() -> None:
    """Compare with the normal distribution: 0.0455 lie beyond 2 standard deviations; all seeds are alike."""
    noise = np.random.default_rng(4).normal(size=1000)
    first, second = Resampled([7, 7], np.stack([7 + noise] * 2)), Resampled([9, 9], np.full((2, 1000), 9.0))
    assert paired_bootstrap(first, second) == pytest.approx(0.0455, abs=0.02)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [  # computed by hand, as by p.adjust in R: 4 x .01, 3 x .013, 2 x .03, .2
        ([0.013, 0.01, 0.2, 0.03], [0.04, 0.04, 0.2, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holms_correction_is_the_one_computed_by_hand(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_the_detectable_difference_of_equal_seeds_is_that_of_the_normal_distribution(level: float) -> None:
    """Compare with Bloom 1995 for identical seeds: (z(1 - level / 2) + z(.8)) standard errors."""
    noise = np.random.default_rng(4).normal(size=1000)
    first, second = Resampled([7, 7], np.stack([7 + noise] * 2)), Resampled([9, 9], np.full((2, 1000), 9.0))
    normal = NormalDist()
    expected = normal.inv_cdf(1 - level / 2) + normal.inv_cdf(0.8)
    assert minimum_detectable_effect(first, second, level=level) == pytest.approx(expected, rel=0.06)


def test_the_detectable_difference_of_few_seeds_is_that_of_students_distribution() -> None:
    """Compare 3 and 3 seeds with variance 1: t(.975) = 2.776, t(.8) = 0.941 (4 degrees), error sqrt(2 / 3)."""
    expected = (2.776 + 0.941) * (2 / 3) ** 0.5
    assert minimum_detectable_effect(runs(1, 2, 3), runs(4, 5, 6)) == pytest.approx(expected, rel=0.03)
    paired = minimum_detectable_effect(runs(1, 2, 3), runs(2.1, 3, 3.9), same_models=True)
    assert paired == pytest.approx((4.303 + 1.061) * 0.1 / 3**0.5, rel=0.05)
