"""German: inflection of noun phrases and the order of words in a clause."""

from nmt.phrasebook.forms import ADJECTIVE_ENDING, KEIN, THE, WERDEN
from nmt.phrasebook.grammar import (
    Case,
    Clause,
    Form,
    Nominal,
    NounPhrase,
    Number,
    Phrase,
    Sentence,
    Subordinate,
    Tense,
    opens_clause,
)

# Marks of a subordinate clause: before its first word, before its final verbs, and after them; see `marked`.
OPEN, VERBS, CLOSE = "\x02", "\x04", "\x03"
_MARKS = str.maketrans("", "", OPEN + VERBS + CLOSE)

_CONTRACTIONS = {
    ("in", "dem"): "im",
    ("in", "das"): "ins",
    ("an", "dem"): "am",
    ("an", "das"): "ans",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("von", "dem"): "vom",
    ("bei", "dem"): "beim",
}


def noun_phrase(phrase: NounPhrase, case: Case, negated: bool = False, preposition: str = "") -> str:
    """Return preposition (if given), determiner, adjective, noun and modifier in `case`, without the relative clause.

    The position of the relative clause depends on the clause around it. With `negated` (for the object of a negated
    clause), "ein" and a missing article become "kein".
    """
    noun = phrase.noun
    column = 3 if phrase.number is Number.PLURAL else noun.gender
    determiner = KEIN if negated and phrase.determiner.quantity else phrase.determiner
    article = determiner.de[column][case]
    words = noun.de[phrase.number][case]
    if phrase.adjective is not None:
        ending = ADJECTIVE_ENDING[determiner.declension][column][case]
        words = phrase.adjective.stem + ending + " " + words
    if phrase.modifier is not None:
        words += " " + prepositional(phrase.modifier)
    if preposition:
        short = _CONTRACTIONS.get((preposition, article)) if determiner is THE else None
        if short:
            return short + " " + words
        words = article + " " + words if article else words
        return preposition + " " + words
    return article + " " + words if article else words


def prepositional(phrase: Phrase) -> str:
    """Return a prepositional phrase in the case of its preposition."""
    preposition, nominal = phrase.preposition, phrase.nominal
    if isinstance(nominal, NounPhrase):
        return noun_phrase(nominal, preposition.case, preposition=preposition.de)
    return preposition.de + " " + nominal.de[preposition.case]


def _relative(nominal: Nominal | None) -> str:
    """Return the relative clause of a noun phrase between commas, or ""."""
    if isinstance(nominal, NounPhrase) and nominal.relative is not None:
        return " , " + clause(nominal.relative, Form.SUBORDINATE) + " ,"
    return ""


def _verbs(c: Clause, form: Form) -> tuple[str, str]:
    """Return the finite verb and the verbal part at the end of the clause (prefix, participle or infinitive)."""
    verb = c.verb
    slot = c.subject.slot if isinstance(c.subject, NounPhrase) else c.subject.german_slot
    if form is Form.INFINITIVE:
        if verb.prefix:
            return "", verb.prefix + "zu" + verb.finite[2]
        return "", "zu " + verb.infinitive
    if c.modal is not None:
        past = c.modal.preterite if c.tense is Tense.PAST else None
        return (past or c.modal.finite)[slot], verb.infinitive
    if c.tense is Tense.FUTURE:
        return WERDEN[slot], verb.infinitive
    if c.tense is Tense.PAST:
        if verb.preterite is not None:
            return verb.preterite[slot], ""
        return verb.perfect[slot], verb.participle
    if form is Form.SUBORDINATE:
        return verb.prefix + verb.finite[slot], ""
    return verb.finite[slot], verb.prefix


def _subject(c: Clause) -> str:
    subject = c.subject
    if isinstance(subject, NounPhrase):
        return noun_phrase(subject, Case.NOMINATIVE) + _relative(subject)
    return subject.de[Case.NOMINATIVE]


def _middle(c: Clause, please: str) -> tuple[list[str], str]:
    """Build the middle field in the fixed order pronouns, time, dative, accusative, nicht, phrase, predicate.

    Returns:
        The parts of the middle field, and the question word or relative pronoun that opens the clause, or "".
    """
    front = c.question_word.de
    light: list[str] = []
    heavy: list[str] = []
    nicht = c.negated
    for nominal, case in ((c.indirect, Case.DATIVE), (c.direct, Case.ACCUSATIVE)):
        if nominal is None:
            continue
        if isinstance(nominal, NounPhrase):
            heavy.append(noun_phrase(nominal, case, c.negated))
            if nominal.determiner.quantity:
                nicht = False
        elif nominal.front:
            front = nominal.de[case]
        else:
            (light if nominal.light else heavy).append(nominal.de[case])
    parts = light
    if please:
        parts.append(please)
    if c.time.de and not c.time_first:
        parts.append(c.time.de)
    if c.adverb.de:
        parts.append(c.adverb.de)
    parts += heavy
    if nicht:
        parts.append("nicht")
    if c.phrase is not None:
        nominal = c.phrase.nominal
        if not isinstance(nominal, NounPhrase) and nominal.front:
            front = prepositional(c.phrase)
        else:
            parts.append(prepositional(c.phrase))
    if c.predicate.de:
        parts.append(c.predicate.de)
    return parts, front


def subordinate(part: Subordinate) -> str:
    """Return a subordinate clause with its conjunction."""
    words = clause(part.clause, part.form)
    return part.conjunction.de + " " + words if part.conjunction.de else words


def clause(c: Clause, form: Form, please: str = "") -> str:
    """Return a clause with its subordinate clauses and marks. Commas are separate words; `marked` joins them."""
    finite, rest = _verbs(c, form)
    parts, front = _middle(c, please)
    if form is Form.SUBORDINATE:
        parts.append(VERBS + (f"{rest} {finite}" if rest else finite) + CLOSE)
    elif rest:
        parts.append(rest)
    if form is Form.SUBORDINATE:
        head = [front, _subject(c)]
    elif form is Form.INFINITIVE:
        head = []
    elif form is Form.REQUEST:
        head = ["Bitte", finite, _subject(c)]
    elif form is Form.QUESTION:
        # In a question about the subject, the subject comes first; otherwise the verb precedes the subject.
        head = [_subject(c), finite] if opens_clause(c.subject) else [front, finite, _subject(c)]
    elif c.subordinate is not None and c.subordinate.leading:
        head = [subordinate(c.subordinate), ",", finite, _subject(c)]
    elif c.time_first:
        head = [c.time.de, finite, _subject(c)]
    else:
        head = [_subject(c), finite]
    text = " ".join([part for part in head if part] + parts)
    if form is Form.SUBORDINATE:
        text = OPEN + text
    if c.direct is not None:
        # The relative clause of an object follows the final verb of the clause.
        text += _relative(c.direct)
    if c.subordinate is not None and not c.subordinate.leading:
        text += " , " + subordinate(c.subordinate) + " ,"
    return text


def sentence(s: Sentence) -> str:
    """Return the written form of a sentence."""
    return marked(s).translate(_MARKS)


def marked(s: Sentence) -> str:
    """Return a sentence with `OPEN` before each subordinate clause, `VERBS` before its verbs and `CLOSE` after them.

    The marks are nested like the clauses: a relative clause of the subject is between `OPEN` and `VERBS`.
    """
    text = clause(s.clause, s.form, "bitte" if s.polite else "")
    if s.opening.de:
        text = s.opening.de + " " + text
    if "," in text:
        text = text.replace(" ,", ",")
        while ",," in text:
            text = text.replace(",,", ",")
        text = text.rstrip(",")
    return text[0].upper() + text[1:] + ("?" if s.form is Form.QUESTION else ".")
