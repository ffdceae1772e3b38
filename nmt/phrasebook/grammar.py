"""Abstract syntax of the phrasebook, shared by both languages.

A `Clause` is built once by the sampler and realised by `english.py` and by `german.py`. Forms that depend on agreement
are tuples indexed by `slot`: 0 = "I", 1 = third person singular, 2 = every plural and the polite "you" (which is plural
in both languages).
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
    """Class of the endings that an adjective takes after a determiner."""

    WEAK = 0
    MIXED = 1
    STRONG = 2


class Form(Enum):
    """Form of a clause, which determines the position of the verbs."""

    STATEMENT = "statement"
    QUESTION = "question"
    SUBORDINATE = "subordinate"
    INFINITIVE = "infinitive"
    REQUEST = "request"


class Text(NamedTuple):
    """Fixed expression in both languages, such as an adverb, a conjunction or a predicate."""

    en: str
    de: str


Triple = tuple[str, str, str]
NO_TEXT = Text("", "")


def slot_of(person: Person, number: Number) -> int:
    """Return the index of the verb form for a subject (see the docstring of the module)."""
    if number is Number.PLURAL or person is Person.SECOND:
        return 2
    return 0 if person is Person.FIRST else 1


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """Noun with its inflected forms."""

    en: tuple[str, str]  # by number; "" if the noun has no such form
    de: tuple[Triple, Triple]  # by number, then case
    gender: Gender
    group: str  # semantic group, which determines suitable verbs and adjectives
    at: Text = NO_TEXT  # for places: the prepositions of "at the station", "im Hotel"


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    """Adjective with its German stem."""

    en: str
    de: str
    stem: str  # before an ending: "teuer" but "teur-"


@dataclass(frozen=True, slots=True, eq=False)
class Determiner:
    """Article, possessive, demonstrative or numeral."""

    en: tuple[str, str]  # by number
    de: tuple[Triple, Triple, Triple, Triple]  # by column (three genders, then plural), then case
    declension: Declension
    quantity: bool = False  # "a", a numeral or nothing: negated by "kein", never by "nicht"
    asking: bool = False  # "which"


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """Verb with its inflected forms."""

    base: str
    present: Triple
    past: Triple
    particle: str  # English "pick up": "up" follows a pronoun object
    auxiliary: bool  # English: is inverted and negated without "do", as "be" and "can"
    infinitive: str
    finite: Triple  # German present, without the separable prefix
    participle: str
    perfect: Triple  # present of the auxiliary of the Perfekt, haben or sein
    prefix: str = ""
    preterite: Triple | None = None  # verbs whose past is the Präteritum: war, hatte, musste


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """Nominal with listed forms: a pronoun, a name, "who" or a relative pronoun."""

    en: tuple[str, str]  # subject form, object form
    de: Triple  # by case
    slot: int
    german_slot: int
    light: bool = True  # a pronoun, which German moves to the start of the middle field
    front: bool = False  # a question word or relative pronoun, which opens its clause


@dataclass(slots=True, eq=False)
class NounPhrase:
    """Noun phrase with its modifiers."""

    noun: Noun
    determiner: Determiner
    number: Number = Number.SINGULAR
    adjective: Adjective | None = None
    modifier: "Phrase | None" = None  # "the train [to Berlin]"
    relative: "Clause | None" = None

    @property
    def slot(self) -> int:
        """Index of the verb form for this subject."""
        return self.number + 1


Nominal = NounPhrase | Fixed


@dataclass(frozen=True, slots=True, eq=False)
class Preposition:
    """Preposition and the case that it governs in German."""

    en: str
    de: str
    case: Case


@dataclass(slots=True, eq=False)
class Phrase:
    """Prepositional phrase."""

    preposition: Preposition
    nominal: Nominal


@dataclass(slots=True, eq=False)
class Subordinate:
    """Subordinate clause with a conjunction, with a question word (and no conjunction), or in the infinitive."""

    conjunction: Text
    clause: "Clause"
    form: Form = Form.SUBORDINATE
    leading: bool = False  # before the main clause


@dataclass(slots=True, eq=False)
class Clause:
    """Clause with at most one subordinate clause, attached to it or to one of its noun phrases."""

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
    question_word: Text = NO_TEXT  # "when", "why", in place of an adverbial
    subordinate: Subordinate | None = None


@dataclass(slots=True, eq=False)
class Sentence:
    """Complete sentence."""

    clause: Clause
    form: Form
    opening: Text = NO_TEXT
    polite: bool = False  # "Could you please ...?"


def opens_clause(nominal: Nominal) -> bool:
    """Return whether the nominal is a question word or a relative pronoun, which opens its clause."""
    return nominal.determiner.asking if isinstance(nominal, NounPhrase) else nominal.front
