"""The abstract syntax of the phrasebook: what a sentence says, before either language says it.

A `Clause` is built once by the sampler and realised twice, by `english.py` and by `german.py`.
Forms that depend on agreement are tuples indexed by `slot`: 0 = "I", 1 = third person singular,
2 = every plural and the polite "you" (which is plural in both languages).
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple


class Gender(IntEnum):
    MASCULINE = 0
    FEMININE = 1
    NEUTER = 2


class Number(IntEnum):
    SINGULAR = 0
    PLURAL = 1


class Case(IntEnum):
    NOMINATIVE = 0
    ACCUSATIVE = 1
    DATIVE = 2


class Person(IntEnum):
    FIRST = 0
    SECOND = 1
    THIRD = 2


class Tense(IntEnum):
    PRESENT = 0
    PAST = 1
    FUTURE = 2


class Declension(IntEnum):
    """Which endings an adjective takes after the determiner."""

    WEAK = 0
    MIXED = 1
    STRONG = 2


class Form(Enum):
    """The shape a clause is realised in; it fixes the place of the verbs."""

    STATEMENT = "statement"
    QUESTION = "question"
    SUBORDINATE = "subordinate"
    INFINITIVE = "infinitive"
    REQUEST = "request"


class Text(NamedTuple):
    """A fixed expression in both languages: an adverb, a conjunction, a predicate."""

    en: str
    de: str


Triple = tuple[str, str, str]
NO_TEXT = Text("", "")


def slot_of(person: Person, number: Number) -> int:
    """The index of the verb form for a subject (see the module's docstring)."""
    if number is Number.PLURAL or person is Person.SECOND:
        return 2
    return 0 if person is Person.FIRST else 1


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    en: tuple[str, str]  # by number; "" where the noun has no such form
    de: tuple[Triple, Triple]  # by number, then case
    gender: Gender
    group: str  # semantic class: which verbs and adjectives go with it
    at: Text = NO_TEXT  # for places: the prepositions of "at the station", "im Hotel"


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    en: str
    de: str
    stem: str  # before an ending: "teuer" but "teur-"


@dataclass(frozen=True, slots=True, eq=False)
class Determiner:
    en: tuple[str, str]  # by number
    de: tuple[Triple, Triple, Triple, Triple]  # by column (three genders, then plural), then case
    declension: Declension
    quantity: bool = False  # "a", a numeral or nothing: negated by "kein", never by "nicht"
    asking: bool = False  # "which"


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    base: str
    present: Triple
    past: Triple
    particle: str  # English "pick up": "up" follows a pronoun object
    auxiliary: bool  # English: inverts and takes "not" itself, as "be" and "can" do
    infinitive: str
    finite: Triple  # German present, without the separable prefix
    participle: str
    perfect: Triple  # present of the auxiliary of the Perfekt, haben or sein
    prefix: str = ""
    preterite: Triple | None = None  # verbs whose past is the Präteritum: war, hatte, musste


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A nominal that is not inflected by rule: pronouns, names, "who", relative pronouns."""

    en: tuple[str, str]  # subject form, object form
    de: Triple  # by case
    slot: int
    german_slot: int
    light: bool = True  # a pronoun, which German moves to the head of the middle field
    front: bool = False  # a question word or relative pronoun, which opens its clause


@dataclass(slots=True, eq=False)
class NounPhrase:
    noun: Noun
    determiner: Determiner
    number: Number = Number.SINGULAR
    adjective: Adjective | None = None
    modifier: "Phrase | None" = None  # "the train [to Berlin]"
    relative: "Clause | None" = None

    @property
    def slot(self) -> int:
        return self.number + 1


Nominal = NounPhrase | Fixed


@dataclass(frozen=True, slots=True, eq=False)
class Preposition:
    en: str
    de: str
    case: Case


@dataclass(slots=True, eq=False)
class Phrase:
    preposition: Preposition
    nominal: Nominal


@dataclass(slots=True, eq=False)
class Subordinate:
    """A clause hung on another: by a conjunction, a question word (no conjunction) or as infinitive."""

    conjunction: Text
    clause: "Clause"
    form: Form = Form.SUBORDINATE
    leading: bool = False  # before the main clause


@dataclass(slots=True, eq=False)
class Clause:
    """One clause. At most one subordinate clause hangs on it, here or on one of its noun phrases."""

    subject: Nominal
    verb: Verb
    tense: Tense = Tense.PRESENT
    modal: Verb | None = None
    negated: bool = False
    indirect: Nominal | None = None  # German dative
    direct: Nominal | None = None  # German accusative
    predicate: Text = NO_TEXT
    phrase: Phrase | None = None
    time: Text = NO_TEXT
    time_first: bool = False
    adverb: Text = NO_TEXT  # "often": before the English verb
    asked: Text = NO_TEXT  # "when", "why": the adverbial a question asks for
    subordinate: Subordinate | None = None


@dataclass(slots=True, eq=False)
class Sentence:
    clause: Clause
    form: Form
    opening: Text = NO_TEXT
    polite: bool = False  # "Could you please ...?"


def asks(nominal: Nominal) -> bool:
    """Whether this is a question word or a relative pronoun, which opens its clause."""
    return nominal.determiner.asking if isinstance(nominal, NounPhrase) else nominal.front
