"""Scores from simulated ratings: planted differences and biases are recovered, and intervals cover."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scored_run import scored_run, settings
from simulated_raters import SimulatedRater, toy_design

from nmt.errors import UserError
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.report import scores_grid
from nmt.lab.comparison.systems import gather
from nmt.lab.judgements.answers import EQUAL, FIRST, SECOND, Rating, write_ratings
from nmt.lab.judgements.checks import CheckLimits
from nmt.lab.judgements.column import human_column
from nmt.lab.judgements.design import Sizes, make_design
from nmt.lab.judgements.export import write_campaign
from nmt.lab.judgements.judged_systems import systems_of_files, systems_of_runs
from nmt.lab.judgements.report import correlations_of, evaluate_ratings, evaluation_tables, write_evaluation
from nmt.lab.judgements.scores import HumanScores, agreement, rating_array

LIMITS = CheckLimits(0.75, 20)
nan = math.nan


def simulated(seed: int, segments: int, differences: tuple[float, ...], noise: float = 10) -> np.ndarray:
    """Return ratings (R, S, N): quality of system and segment, on the scale of three different raters, with noise."""
    random = np.random.default_rng(seed)
    quality = np.array(differences)[:, None] + random.normal(0, 8, segments) + random.normal(0, 6, (2, segments))
    scale, bias = np.array([1.0, 0.5, 1.5]), np.array([60.0, 80.0, 20.0])
    ratings = scale[:, None, None] * (quality + random.normal(0, noise, (3, 2, segments))) + bias[:, None, None]
    absent = (np.arange(segments) % 3) == np.arange(3)[:, None]  # two raters per segment
    return np.where(absent[:, None, :], nan, ratings)


def test_scores_equal_the_textbook_z_scores() -> None:
    values = simulated(1, 30, (0, 5))
    by_hand = np.empty_like(values)
    for rater, ratings in enumerate(values):
        given = ratings[~np.isnan(ratings)]
        by_hand[rater] = (ratings - given.mean()) / given.std(ddof=1)
    means = np.nanmean(np.nanmean(by_hand, axis=0), axis=1)
    scores = HumanScores(values, True)
    assert [cell.mean for cell in scores.cells] == pytest.approx(means)
    assert scores.z == pytest.approx(by_hand, nan_ok=True)


def test_a_resample_standardises_its_own_ratings() -> None:
    values = simulated(2, 12, (0, 5))
    drawn = [0, 0, 3, 4, 4, 4, 5, 7, 8, 9, 10, 11]
    times = np.bincount(drawn, minlength=12)[None].astype(float)
    repeated = HumanScores(values[:, :, drawn], True)
    assert HumanScores(values, True).scores(times)[0] == pytest.approx([cell.mean for cell in repeated.cells])


def test_planted_differences_survive_biased_raters() -> None:
    scores = HumanScores(simulated(3, 300, (0, 5)), True)
    (pair,) = scores.pairs
    assert pair.difference < 0
    assert pair.p < 0.01
    assert pair.losses > pair.wins
    assert scores.cells[1].verdict == "better"


def test_equal_systems_are_undecided() -> None:
    values = simulated(4, 40, (0, 5))
    values[:, 1] = values[:, 0]
    assert HumanScores(values, True).cells[1].verdict == "undecided"


def test_a_rater_who_gives_one_answer_counts_as_average() -> None:
    values = np.array([[[50.0, 50.0], [50.0, 50.0]], [[10.0, 20.0], [30.0, 40.0]]])
    z = HumanScores(values, True).z
    assert (z[0] == 0).all()
    assert np.isfinite(z).all()


def coverage(trials: int, true_difference: float) -> tuple[float, float]:
    """Return how often the interval of the difference covers the planted one, and how often a test rejects."""
    covered = rejected = 0
    for seed in range(trials):
        values = simulated(1000 + seed, 60, (0.0, true_difference))
        scores = HumanScores(values, False)
        draws = scores.resampled[1].over_sentences - scores.resampled[0].over_sentences
        low, high = np.quantile(draws, [0.025, 0.975])
        covered += low <= true_difference <= high  # the mean scale of the raters is 1
        rejected += scores.pairs[0].p < 0.05 if true_difference == 0 else 0
    return covered / trials, rejected / trials


@pytest.mark.slow
def test_intervals_cover_and_tests_reject_at_the_nominal_rates() -> None:
    covered, rejected = coverage(400, 0.0)
    assert covered == pytest.approx(0.95, abs=0.035)
    assert rejected <= 0.08
    assert coverage(400, 4.0)[0] == pytest.approx(0.95, abs=0.035)


@pytest.mark.slow
def test_intervals_of_z_scores_cover_the_score_of_many_segments() -> None:
    limit = HumanScores(simulated(7, 200_000, (0, 4)), True).scores(np.ones((1, 200_000)))[0]
    cells = [HumanScores(simulated(5000 + seed, 60, (0, 4)), True).resampled for seed in range(400)]
    for system in (0, 1):
        inside = [low <= limit[system] <= high for low, high in (cell[system].interval() for cell in cells)]
        assert np.mean(inside) == pytest.approx(0.95, abs=0.035)


def test_comparisons_become_shares_of_wins() -> None:
    design = toy_design("pairwise", (0.0, 0.5, 1.0))
    ratings = [
        Rating("anna", item.id, FIRST if min(item.shown[0].systems) < min(item.shown[1].systems) else SECOND)
        for item in design.sheets[0]
        if item.check != "damaged"
    ]
    values = rating_array(ratings, design, ["anna"])[0]
    for at, segment in enumerate(design.segments):
        texts = segment.translations
        if len(set(texts)) == 1:
            assert np.isnan(values[:, at]).all()
            continue
        for system in range(3):
            points = [
                0.5 if texts[system] == texts[other] else float(texts.index(texts[system]) < texts.index(texts[other]))
                for other in range(3)
                if other != system
            ]
            assert values[system, at] == pytest.approx(np.mean(points))


def test_agreement_of_raters_is_1_for_equal_answers_up_to_scale() -> None:
    design = toy_design("da", sizes=Sizes(30, 2, 2, 0, 0))
    quality = {}
    ratings = []
    for sheet, (name, scale, bias) in zip(design.sheets, [("anna", 1, 0), ("ben", 0.5, 40)], strict=True):
        for item in sheet:
            value = quality.setdefault((item.segment, item.shown[0].text), len(quality))
            ratings.append(Rating(name, item.id, scale * value + bias))
    alpha = agreement(ratings, design, ["anna", "ben"])
    assert alpha.alpha == pytest.approx(1)
    assert alpha.units == len(quality)


def test_agreement_of_comparisons_ignores_the_order_on_the_sheet() -> None:
    design = toy_design("pairwise", sizes=Sizes(30, 2, 2, 0, 0))
    ratings = [
        Rating(
            f"rater{number}",
            item.id,
            EQUAL if item.segment % 3 == 0 else FIRST if item.shown[0].systems == [0] else SECOND,
        )
        for number, sheet in enumerate(design.sheets)
        for item in sheet
    ]
    assert agreement(ratings, design, ["rater0", "rater1"]).alpha == pytest.approx(1)


@pytest.mark.parametrize("kind", ["da", "esa", "pairwise"])
def test_a_campaign_of_simulated_raters_finds_the_better_system(kind: str, tmp_path: Path) -> None:
    design = toy_design(kind, (0.1, 0.95), Sizes(40, 3, 2, 4, 4))
    raters = [
        SimulatedRater("anna", 1, bias=-10),
        SimulatedRater("ben", 2, scale=0.6),
        SimulatedRater("carl", 3, 50, 0, 60),
    ]
    ratings = [one for rater, sheet in zip(raters, design.sheets, strict=True) for one in rater.answers(design, sheet)]
    evaluation = evaluate_ratings(design, ratings, LIMITS if kind != "pairwise" else CheckLimits(0.75, 50), True)
    assert evaluation.raters == ["anna", "ben"]
    assert evaluation.scores.cells[1].verdict == "worse"
    correlations = correlations_of(evaluation, "13a", None)
    assert [one.metric for one in correlations] == ["bleu", "chrf"]
    assert all(one.system_tau == pytest.approx(1) and one.segment_tau > 0.3 for one in correlations)
    tables = evaluation_tables(evaluation, correlations, LIMITS)
    write_evaluation(evaluation, correlations, tables, tmp_path / "out")
    record = json.loads((tmp_path / "out/human_eval.json").read_text())
    assert [one["excluded"] for one in record["raters"]] == [False, False, True]
    assert "carl" in (tmp_path / "out/human_eval.md").read_text()


def test_ratings_that_cannot_be_scored_are_refused() -> None:
    design = toy_design()
    with pytest.raises(UserError, match="no ratings"):
        evaluate_ratings(design, [], LIMITS, False)
    only_first = [Rating("anna", item.id, 5) for item in design.sheets[0] if item.shown[0].systems == [0]]
    with pytest.raises(UserError, match="system1 has no rating"):
        evaluate_ratings(design, only_first, LIMITS, False)
    careless = SimulatedRater("ben", 2, scale=0, bias=50, noise=60).answers(design, design.sheets[0])
    with pytest.raises(UserError, match="every rater failed"):
        evaluate_ratings(design, careless, LIMITS, True)


def test_the_comparison_of_runs_has_a_column_of_judgements(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("good", "bad", "unjudged")]
    for number, folder in enumerate(folders):
        config = settings(tmp_path / "cache", seed=1)
        config.model.dropout = 0.1 * (number + 1)
        scored_run(Path(folder), config, lambda at, number=number: number > 0 and at % (3 - number) == 0)
    judged = systems_of_runs(folders[:2], "test")
    assert [system.name for system in judged.systems] == ["good", "bad"]
    test = judged.test
    sizes = Sizes(16, 2, 2, 2, 2)
    design = make_design("da", test.name, test.src, test.references[0], judged.systems, sizes, 1)
    write_campaign(design, tmp_path / "c")
    raters = [SimulatedRater("anna", 1), SimulatedRater("ben", 2)]
    ratings = [one for rater, sheet in zip(raters, design.sheets, strict=True) for one in rater.answers(design, sheet)]
    write_ratings(ratings, tmp_path / "c")
    systems, test_set = gather(folders, "test")
    column = human_column(systems, test_set, str(tmp_path / "c"), False)
    expected = evaluate_ratings(design, ratings, LIMITS, False).scores.cells
    assert column.cells == [*expected, None]
    comparison = Comparison(systems, test_set, extra={"human": column})
    rows = [row for row in scores_grid(comparison).rows if row[0] == "human"]
    assert [row[2] for row in rows][-1] == "-"
    assert rows[0][2] == f"{expected[0].mean:.3f}"
    with pytest.raises(UserError, match="no judgements of these runs"):
        human_column(systems[2:], test_set, str(tmp_path / "c"), False)


def test_files_of_different_lengths_are_refused(tmp_path: Path) -> None:
    for name, lines in (("src", 3), ("ref", 3), ("a", 3), ("b", 2)):
        (tmp_path / name).write_text("a line\n" * lines)
    src, ref, a, b = (str(tmp_path / name) for name in ("src", "ref", "a", "b"))
    assert [system.name for system in systems_of_files([a], src, ref).systems] == [a]
    with pytest.raises(UserError, match="2 lines"):
        systems_of_files([a, b], src, ref)
    with pytest.raises(UserError, match="twice"):
        systems_of_files([a, a], src, ref)
