"""Verbs at the end of German clauses: position, distance, and their detection in a translation."""

import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from shapes import model_config

from nmt.cli.diagnosis.memory import depth, finding, group_runs, name_models, training_sentences
from nmt.config import (
    CellKind,
    Config,
    DataConfig,
    MachineConfig,
    OptimConfig,
    PhrasebookConfig,
    TrainConfig,
)
from nmt.errors import UserError
from nmt.lab.diagnostics.memory import (
    CLASSES,
    Accuracy,
    MeanAccuracy,
    accuracies,
    chance,
    contestants,
    draw_clauses,
    right,
)
from nmt.phrasebook import german, stream
from nmt.phrasebook.sentences import SentenceSampler
from nmt.phrasebook.verbs_last import VerbsLast, subordinate_clauses, verbs_last
from nmt.run import RunDirectory

DE = "Der Polizist, der das Auto, das ich mag, gesehen hat, sagt, dass es teuer war."
INNER, MIDDLE, LAST = (
    VerbsLast("", DE, verbs, distance, part)
    for verbs, distance, part in (("mag", 2, 2), ("gesehen hat", 6, 3), ("war", 2, 5))
)


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        (DE, (True, True, True)),
        ("Der Polizist, der das Auto, das er mag, gesehen hat, weiß, dass sie alt war.", (True, True, True)),
        ("Der Polizist, der das Auto, das ich mögen, gesehen haben, sagt, dass es teuer ist.", (False, False, False)),
        ("Der Polizist, der das Auto, das ich mag, hat, sagt, dass es war?", (True, False, True)),
        ("Der Polizist, der das Auto, das ich mag, ungesehen hat, sagt, dass es teuerwar.", (True, False, False)),
        ("Der Polizist, der das Auto gesehen hat, sagt, dass es teuer war.", (False, False, False)),
        ("mag, gesehen hat", (False, False, False)),
        ("a, b, mag, gesehen hat, c, war", (True, True, True)),
        ("", (False, False, False)),
    ],
)
def test_the_verbs_are_right_at_the_end_of_their_own_part(translation: str, expected: tuple[bool, ...]) -> None:
    assert tuple(right(clause, translation) for clause in (INNER, MIDDLE, LAST)) == expected


def test_accuracies_are_counted_class_by_class() -> None:
    classes = {(1, 3): [INNER, LAST], (4, 6): [MIDDLE]}
    wrong = DE.replace("mag", "kennt")
    accuracy = accuracies(classes, [wrong, DE, wrong])
    assert accuracy == [Accuracy(1, 2), Accuracy(1, 1)]
    assert accuracies(classes, [DE, DE, ""]) == [Accuracy(2, 2), Accuracy(0, 1)]


def test_chance_says_the_commonest_verb_everywhere() -> None:
    ist, hat = (VerbsLast("", "", verb, 1, 0) for verb in ("ist", "hat"))
    assert chance({(1, 3): [ist, hat, hat], (4, 6): [ist, ist]}) == [Accuracy(1, 3), Accuracy(2, 2)]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (15, 15, 0.7961, 1.0)]
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    """Take the first and the last row from Newcombe 1998, table I, and the second from z^2 / (n + z^2)."""
    assert Accuracy(hits, of).interval == pytest.approx((low, high), abs=5e-5)


def test_several_seeds_have_their_mean_and_their_extremes() -> None:
    assert MeanAccuracy((Accuracy(15, 20),)).interval == Accuracy(15, 20).interval
    accuracy = MeanAccuracy((Accuracy(10, 20), Accuracy(4, 20), Accuracy(7, 20)))
    assert accuracy.share == pytest.approx(0.35)
    assert accuracy.interval == (0.2, 0.5)


def test_clauses_found_by_the_grammar_are_those_that_the_commas_show() -> None:
    """Check that verbs end the text between two punctuation marks and that their clause begins in the sentence."""
    draw, clauses = SentenceSampler(5).sentence, 0
    for _ in range(2000):
        sentence = draw(4)
        text = german.sentence(sentence)
        assert not re.search("[\x00-\x1f]", text)
        for clause in subordinate_clauses(sentence):
            clauses += 1
            assert clause.de == text
            part = re.split("[,.?]", text)[clause.part].split()
            verbs = clause.verbs.split()
            assert part[len(part) - len(verbs) :] == verbs
            assert 1 <= len(verbs) <= 2
            before = sum(len(other.split()) for other in re.split("[,.?]", text)[: clause.part])
            assert 1 <= clause.distance < before + len(part) - len(verbs)
    assert clauses > 800


COUNTED = {  # by hand: words of the clause before its verbs, including nested clauses, without the conjunction
    "Mein Chef weiß, dass der freundliche Zahnarzt, der in Köln arbeitet, seinen guten Stadtplan hat.": [
        ("arbeitet", 3, 2),  # der in Köln
        ("hat", 10, 3),  # der freundliche Zahnarzt, der in Köln arbeitet, seinen guten Stadtplan
    ],
    "Denken Sie, dass die Kellnerinnen, die der alten Frau eine frische Pizza gebracht haben, die leckere Suppe im "
    "Café bestellen können?": [("gebracht haben", 7, 2), ("bestellen können", 16, 3)],
    "Ich weiß nicht, wann Sie eine Tasche suchen sollten, die Frau Schneider hat.": [
        ("suchen sollten", 4, 1),  # wann Sie eine Tasche
        ("hat", 3, 2),  # die Frau Schneider
    ],
    "Unser Onkel denkt, dass mein Vater beschlossen hat, ein Fahrrad zu reparieren, das Ihr Kollege verkauft hat.": [
        ("beschlossen hat", 2, 1),  # mein Vater
        ("verkauft hat", 3, 3),  # das Ihr Kollege
    ],
}


def test_distances_are_those_counted_by_hand() -> None:
    draw, clauses = SentenceSampler(21).sentence, {}
    while len(clauses) < len(COUNTED):
        sentence = draw(3)
        if (text := german.sentence(sentence)) in COUNTED:
            clauses[text] = [(clause.verbs, clause.distance, clause.part) for clause in subordinate_clauses(sentence)]
    assert clauses == COUNTED


def test_the_clause_with_the_longest_distance_is_drawn_from_each_sentence() -> None:
    for clause in islice(verbs_last(3, 4), 50):
        assert right(clause, clause.de)
        assert clause.en[-1] == clause.de[-1]
    draw = SentenceSampler(3).sentence
    expected = (list(subordinate_clauses(draw(4))) for _ in range(300))
    waits = [max(clause.distance for clause in clauses) for clauses in expected if clauses]
    assert waits == [clause.distance for clause in islice(verbs_last(3, 4), len(waits))]


def test_each_class_has_its_clauses_of_sentences_that_were_not_trained_on() -> None:
    seen = [pair.en for pair in islice(stream(8, 4), 300)]
    free, drawn = draw_clauses(6, 8, 4, ()), draw_clauses(6, 8, 4, seen)
    assert {clause.en for members in free.values() for clause in members} & set(seen)
    sentences = [clause.en for members in drawn.values() for clause in members]
    assert len(set(sentences)) == 6 * len(CLASSES)
    assert not set(sentences) & set(seen)
    for (low, high), members in drawn.items():
        assert all(low <= clause.distance <= high for clause in members)


def test_a_class_that_cannot_be_filled_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nmt.lab.diagnostics.memory.DRAWS", 300)
    classes = draw_clauses(5, 1, 1, ())
    assert list(classes) == [(1, 3), (4, 6), (7, 9)]
    assert {len(members) for members in classes.values()} == {5}
    assert "distances of 14 to 17 words are omitted: they have only 0 clauses" in caplog.text
    with pytest.raises(UserError, match=r"no class of distances has 500 new sentences at depth 0, the largest has 0"):
        draw_clauses(500, 1, 0, ())


TINY = Config(
    data=DataConfig(phrasebook=PhrasebookConfig(train=30, valid=4, test=5, depth=2)),
    model=model_config(embed_size=8, hidden_size=8),
    train=TrainConfig(max_steps=10),
)


def test_each_cell_competes_without_and_with_attention() -> None:
    models = contestants(TINY, [CellKind.rnn, CellKind.lstm])
    assert [each.name for each in models] == [
        f"{cell} {word} attention" for cell in ("rnn", "lstm") for word in ("without", "with")
    ]
    assert [each.config.model.decoder.attention for each in models] == [None, TINY.model.decoder.attention] * 2
    assert [each.config.model.decoder.cell for each in models] == [
        CellKind.rnn,
        CellKind.rnn,
        CellKind.lstm,
        CellKind.lstm,
    ]


def test_a_training_is_used_again_for_the_same_configuration_alone() -> None:
    def folder(config: Config) -> str:
        return contestants(config, [CellKind.gru])[0].folder

    assert folder(TINY) == folder(replace(TINY, machine=MachineConfig(threads=1)))
    assert folder(TINY) == folder(replace(TINY, data=replace(TINY.data, cache="elsewhere")))
    others = [
        replace(TINY, seed=2),
        replace(TINY, train=TrainConfig(max_steps=11)),
        replace(TINY, model=replace(TINY.model, embed_size=16)),
        replace(TINY, optim=OptimConfig(clip_norm=2.0)),
    ]
    assert len({folder(config) for config in (TINY, *others)}) == 5


def test_runs_that_differ_only_in_their_seed_are_one_model(tmp_path: Path) -> None:
    gru = replace(TINY, model=TINY.model.with_cell("gru"))
    configs = [TINY, gru, replace(TINY, seed=2, machine=MachineConfig(threads=1)), TINY, replace(gru, seed=2)]
    blocks = replace(gru, model=replace(gru.model, decoder=replace(gru.model.decoder, pre_norm=True)))
    groups = group_runs(Saved(tmp_path / str(number), config) for number, config in enumerate([*configs, blocks]))
    assert [[run.path.name for run in group] for group in groups] == [["0", "2"], ["1", "4"], ["3"], ["5"]]
    names = [Path(name).name for name in name_models(groups)]
    assert names == ["0", "gru with attention", "3", "gru in blocks with attention"]


def test_a_model_with_two_cells_is_named_by_its_run(tmp_path: Path) -> None:
    mixed = replace(TINY.model, encoder=replace(TINY.model.encoder, cell="gru"))
    assert list(name_models([[Saved(tmp_path, replace(TINY, model=mixed))]])) == [str(tmp_path)]


def test_training_sentences_of_all_runs_are_excluded(tmp_path: Path) -> None:
    data = replace(TINY.data, cache=str(tmp_path))
    configs = [replace(TINY, data=replace(data, phrasebook=PhrasebookConfig(30, 4, 5, 2, seed))) for seed in (1, 2)]
    sentences = training_sentences([Saved(tmp_path, config) for config in configs])
    texts = [path.read_text().split("\n")[:-1] for path in (tmp_path / "phrasebook").rglob("*.en")]
    assert len(texts) == 6
    assert sentences == {line for text in texts for line in text}


def test_training_sentences_include_those_beyond_most_pairs(tmp_path: Path) -> None:
    data = replace(TINY.data, cache=str(tmp_path))
    configs = [replace(TINY, data=data), replace(TINY, data=replace(data, most_pairs=3))]
    assert training_sentences([Saved(tmp_path, config) for config in configs]) == training_sentences(
        [Saved(tmp_path, configs[0])]
    )


def test_one_model_is_the_best_and_the_worst() -> None:
    accuracy = [MeanAccuracy((Accuracy(3, 4),))]
    assert finding({"lstm": accuracy}, accuracy, "1 to 3").endswith("75 % by lstm, 75 % by chance")


class Saved(RunDirectory):
    """Run with a configuration only."""

    def __init__(self, path: Path, config: Config) -> None:
        super().__init__(path)
        self.saved = config

    def config(self, overrides: list[str] | None = None) -> Config:
        return self.saved


def test_the_depth_is_the_smallest_of_all_runs(tmp_path: Path) -> None:
    deeper = replace(TINY, data=replace(TINY.data, phrasebook=PhrasebookConfig(depth=4)))
    runs = [Saved(tmp_path, TINY), Saved(tmp_path, deeper)]
    assert depth(runs) == 2
    for data in (replace(TINY.data, phrasebook=None, root="x"), replace(TINY.data, src_lang="de", tgt_lang="en")):
        with pytest.raises(UserError, match="was not trained on the phrasebook into German"):
            depth([*runs, Saved(tmp_path, replace(TINY, data=data))])
