"""Corpus of the phrasebook: agreement, determinism, disjoint splits, unique translations, nesting."""

import hashlib
import os
import re
import subprocess
import sys
import unicodedata
from itertools import islice

import pytest

from nmt.errors import UserError
from nmt.phrasebook import Pair, german, pairs, splits, stream
from nmt.phrasebook.events import RELATIVE_FRAMES_OF, RELATIVIZABLE
from nmt.phrasebook.grammar import NO_TEXT, Clause, Form, NounPhrase, Sentence
from nmt.phrasebook.nouns import GROUPS
from nmt.phrasebook.sentences import SentenceSampler

GOLDEN = "63ad5181dac7eede18902515e8f222195a3b274dae296277241cac774939ed59"
DIGEST = """
import hashlib
from itertools import islice
from nmt.phrasebook import stream
digest = hashlib.sha256()
for pair in islice(stream(7), 1000):
    digest.update(f"{pair.en}\\t{pair.de}\\n".encode())
print(digest.hexdigest())
"""

# An independent small grammar. Determiner form -> its possible columns (masculine, feminine, neuter, plural), and for
# each column the possible adjective endings.
EIN = ["mein", "unser", "Ihr", "sein", "ihr", "kein"]
AGREEMENT: dict[str, dict[str, set[str]]] = {
    "der": {"m": {"e"}, "f": {"en"}},
    "die": {"f": {"e"}, "p": {"en"}},
    "das": {"n": {"e"}},
    "den": {"m": {"en"}, "p": {"en"}},
    "dem": {"m": {"en"}, "n": {"en"}},
    "ein": {"m": {"er"}, "n": {"es"}},
    "eine": {"f": {"e"}},
    "einen": {"m": {"en"}},
    "einem": {"m": {"en"}, "n": {"en"}},
    "einer": {"f": {"en"}},
    "dieser": {"m": {"e"}, "f": {"en"}},
    "diese": {"f": {"e"}, "p": {"en"}},
    "dieses": {"n": {"e"}},
    "diesen": {"m": {"en"}, "p": {"en"}},
    "diesem": {"m": {"en"}, "n": {"en"}},
    **{stem: {"m": {"er"}, "n": {"es"}} for stem in EIN},
    **{stem + "e": {"f": {"e"}, "p": {"en"}} for stem in EIN},
    **{stem + "en": {"m": {"en"}, "p": {"en"}} for stem in EIN},
    **{stem + "em": {"m": {"en"}, "n": {"en"}} for stem in EIN},
    **{stem + "er": {"f": {"en"}} for stem in EIN},
    **{number: {"p": {"e", "en"}} for number in ("zwei", "drei", "vier", "fünf", "acht", "zehn")},
}
NOUNS = {
    "m": "Arzt Kellner Bruder Vater Zug Bus Mantel Koffer Stuhl Tisch Bahnhof Schlüssel Apfel Hut Park Markt",
    "f": "Schwester Mutter Tasche Jacke Zeitung Rechnung Kirche Fahrkarte Tür Bank Bluse Lampe Birne Fähre",
    "n": "Hemd Kleid Buch Fenster Bett Auto Boot Hotel Museum Schloss Zimmer Ei Geschenk Kino Bild Regal",
    "p": "Ärzte Brüder Schwestern Züge Mäntel Taschen Jacken Zeitungen Kleider Bücher Hüte Äpfel Autos Boote Schuhe",
}
# "Kellner", "Koffer", "Fenster", "Zimmer", "Schlüssel" are their own plurals.
COLUMN = {noun: {column} for column, line in NOUNS.items() for noun in line.split()}
for unchanged in ("Kellner", "Koffer", "Fenster", "Zimmer", "Schlüssel"):
    COLUMN[unchanged].add("p")
# Not after a comma, where "der" is a relative pronoun, and not "ihr" alone, which can be a pronoun.
PHRASE = re.compile(
    rf"(?<!, )\b({'|'.join(sorted(AGREEMENT.keys() - {'Ihr', 'ihr'}))})"
    r"(?: ([a-zäöüß]+(?:e|en|er|es|em)))? ([A-ZÄÖÜ]\w+)"
)


def test_every_noun_phrase_of_a_sample_agrees() -> None:
    checked = 0
    for pair in islice(stream(11), 6000):
        for phrase in PHRASE.finditer(pair.de[0].lower() + pair.de[1:]):
            determiner, adjective, noun = phrase.groups()
            if noun not in COLUMN or adjective in AGREEMENT:
                continue
            allowed = AGREEMENT.get(determiner) or AGREEMENT[determiner.capitalize()]
            endings = set().union(*(allowed[column] for column in COLUMN[noun] if column in allowed))
            assert endings, pair.de
            if adjective:
                assert adjective.endswith(tuple(endings)), pair.de
            checked += 1
    assert checked > 3000


def test_a_seed_gives_the_same_pairs_in_every_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", DIGEST]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == GOLDEN
    here = hashlib.sha256("".join(f"{p.en}\t{p.de}\n" for p in islice(stream(7), 1000)).encode()).hexdigest()
    assert here == GOLDEN
    assert list(islice(stream(8), 20)) != list(islice(stream(7), 20))


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.commands)])
def test_distinct_pairs_have_one_translation_each(count: int) -> None:
    translations: dict[str, str] = {}
    back: dict[str, str] = {}
    # The stream repeats sentences, so a second translation of a sentence would be detected.
    for pair in islice(stream(3), count):
        assert translations.setdefault(pair.en, pair.de) == pair.de
        assert back.setdefault(pair.de, pair.en) == pair.en
    drawn = list(pairs(count, seed=4))
    assert len(set(drawn)) == len({p.en for p in drawn}) == len({p.de for p in drawn}) == count
    for pair in drawn:
        assert translations.get(pair.en, pair.de) == pair.de
    lengths = [len(pair.en.split()) for pair in drawn]
    assert max(lengths) <= 25
    assert 7 < sum(lengths) / len(lengths) < 11


def test_text_is_written_as_text_is() -> None:
    allowed = re.compile(r"[A-ZÄÖÜ][A-Za-zÄÖÜäöüßé',\- ]*[.?]")
    for pair in islice(stream(5, depth=3), 3000):
        for side in pair:
            assert allowed.fullmatch(side), side
            assert unicodedata.is_normalized("NFC", side)
            assert "  " not in side
            assert " ," not in side
            assert ",," not in side
        assert pair.en[-1] == pair.de[-1]


def test_splits_share_no_sentence_on_either_side() -> None:
    parts = {name: list(part) for name, part in splits(5000, 400, 300, seed=2).items()}
    assert {name: len(part) for name, part in parts.items()} == {"train": 5000, "valid": 400, "test": 300}
    for side in (0, 1):
        sentences = [pair[side] for part in parts.values() for pair in part]
        assert len(set(sentences)) == len(sentences)


def test_held_out_pairs_do_not_depend_on_the_size_of_train() -> None:
    small, large = splits(1, 50, 50, seed=2), splits(10**9, 50, 50, seed=2)
    assert list(small["test"]) == list(large["test"])
    assert list(small["valid"]) == list(large["valid"])
    assert list(islice(large["train"], 1)) == list(small["train"])


def test_excluded_pairs_do_not_come_back_on_either_side() -> None:
    first = list(pairs(200, seed=6))
    english_only = [Pair(pair.en, "anders") for pair in first[:100]]
    german_only = [Pair("different", pair.de) for pair in first[100:]]
    again = list(pairs(200, seed=6, exclude=english_only + german_only))
    assert not set(first) & set(again)


def test_sizes_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(UserError, match="size is -1"):
        pairs(-1, seed=1)
    with pytest.raises(UserError, match="valid is -5"):
        splits(1, -5, 1, seed=1)
    with pytest.raises(UserError, match="depth is -1"):
        stream(1, depth=-1)


def test_an_exhausted_grammar_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    few = [SentenceSampler(seed).price(NO_TEXT) for seed in (1, 2, 3)]

    def monotonous(self: SentenceSampler, depth: int) -> Sentence:
        return self.pick(few)

    monkeypatch.setattr(SentenceSampler, "sentence", monotonous)
    monkeypatch.setattr("nmt.phrasebook._PATIENCE", 100)
    with pytest.raises(UserError, match="the grammar has only 3 of 10 pairs at depth 1"):
        list(pairs(10, seed=1))


def nested(clause: Clause) -> list[Clause]:
    """Return the subordinate clauses directly inside the clause."""
    clauses = [clause.subordinate.clause] if clause.subordinate else []
    for nominal in (clause.subject, clause.direct, clause.indirect):
        if isinstance(nominal, NounPhrase) and nominal.relative is not None:
            clauses.append(nominal.relative)
    return clauses


def depth_of(clause: Clause) -> int:
    return max((1 + depth_of(inner) for inner in nested(clause)), default=0)


def distance(clause: Clause) -> int:
    """Return the largest number of German words from the start of a verb-final clause to its verb."""
    lengths = [len(german.clause(inner, Form.SUBORDINATE).split()) for inner in nested(clause)]
    return max([*lengths, *(distance(inner) for inner in nested(clause))], default=0)


def test_depth_bounds_the_nesting_and_lengthens_the_distance() -> None:
    means = []
    for depth in (0, 1, 2, 4):
        source = SentenceSampler(13)
        clauses = [source.sentence(depth).clause for _ in range(3000)]
        assert max(depth_of(clause) for clause in clauses) == depth
        assert all(len(nested(clause)) <= 1 for clause in clauses)
        means.append(sum(distance(clause) for clause in clauses) / len(clauses))
    assert means[0] == 0
    assert means[1] + 1 < means[2] < means[3] - 1


def test_depth_zero_has_no_subordinate_clause() -> None:
    for pair in islice(stream(17, depth=0), 5000):
        assert "," not in pair.de.removeprefix("Entschuldigung,"), pair.de
        assert not re.search(r"\b(weil|dass|ob|obwohl|wenn|als|bevor|sobald)\b", pair.de), pair.de


def test_a_relative_clause_can_always_avoid_the_verb_of_its_main_clause() -> None:
    # Otherwise drawing a relative clause would not terminate.
    for group in RELATIVIZABLE:
        for noun in GROUPS[group]:
            assert len({frame.verb.base for frame in RELATIVE_FRAMES_OF[noun]}) > 1
