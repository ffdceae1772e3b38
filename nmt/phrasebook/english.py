"""English: inflection of noun phrases and the order of words in a clause."""

from nmt.phrasebook.forms import BARE, A
from nmt.phrasebook.grammar import Clause, Form, Nominal, NounPhrase, Phrase, Sentence, Subordinate, Tense, opens_clause

_DO = ("do", "does", "do")


def noun_phrase(phrase: NounPhrase, negated: bool = False) -> str:
    """Return determiner, adjective, noun, modifier and relative clause; `negated` is as in `german.noun_phrase`."""
    words = phrase.noun.en[phrase.number]
    if phrase.adjective is not None:
        words = phrase.adjective.en + " " + words
    determiner = phrase.determiner
    if determiner is A:
        # "university" begins with a consonant sound.
        words = ("an " if words[0] in "aeiou" and not words.startswith("uni") else "a ") + words
    elif determiner is BARE:
        words = "any " + words if negated else words
    else:
        words = determiner.en[phrase.number] + " " + words
    if phrase.modifier is not None:
        words += " " + prepositional(phrase.modifier)
    if phrase.relative is not None:
        words += " " + clause(phrase.relative, Form.SUBORDINATE)
    return words


def _nominal(nominal: Nominal, subject: bool = False, negated: bool = False) -> str:
    if isinstance(nominal, NounPhrase):
        return noun_phrase(nominal, negated)
    return nominal.en[0 if subject else 1]


def prepositional(phrase: Phrase) -> str:
    """Return a prepositional phrase."""
    return phrase.preposition.en + " " + _nominal(phrase.nominal)


def _verbs(c: Clause, supported: bool) -> tuple[str, str]:
    """Return the auxiliary ("" for none) and the main verb; `supported` requires an auxiliary, "do" if no other."""
    slot = c.subject.slot
    verb = c.verb
    rest = ""
    if c.modal is not None:
        rest = verb.base
        verb = c.modal
        if verb.auxiliary:
            # "would like to": the auxiliary is "would"
            auxiliary, _, to = verb.base.partition(" ")
            return auxiliary, to + " to " + rest if to else rest
        rest = " to " + rest
    if c.tense is Tense.FUTURE:
        return "will", verb.base + rest
    forms = verb.past if c.tense is Tense.PAST else verb.present
    if verb.auxiliary:
        auxiliary, _, to = forms[slot].partition(" ")
        return auxiliary, to
    if supported:
        return "did" if c.tense is Tense.PAST else _DO[slot], verb.base + rest
    return "", forms[slot] + rest


def subordinate(part: Subordinate) -> str:
    """Return a subordinate clause with its conjunction."""
    words = clause(part.clause, part.form)
    return part.conjunction.en + " " + words if part.conjunction.en else words


def _front(c: Clause) -> str:
    """Return the question word or relative pronoun, other than the subject, that opens the clause, or ""."""
    if c.question_word.en:
        return c.question_word.en
    for nominal in (c.indirect, c.direct):
        if nominal is not None and opens_clause(nominal):
            return _nominal(nominal)
    if c.phrase is not None and opens_clause(c.phrase.nominal):
        return prepositional(c.phrase)
    return ""


def _objects(c: Clause) -> list[str]:
    parts: list[str] = []
    if c.indirect is not None and not opens_clause(c.indirect):
        parts.append(_nominal(c.indirect))
    direct, particle = c.direct, c.verb.particle
    if direct is None or opens_clause(direct):
        parts.append(particle)
    elif isinstance(direct, NounPhrase) or not direct.light:
        parts += [particle, _nominal(direct, negated=c.negated)]
    else:
        parts += [_nominal(direct), particle]
    return parts


def clause(c: Clause, form: Form, please: str = "") -> str:
    """Return a clause with its subordinate clauses, without final punctuation."""
    subject = _nominal(c.subject, subject=True)
    front = _front(c)
    inverted = form is Form.QUESTION and not opens_clause(c.subject)
    if form is Form.INFINITIVE:
        parts = ["to", c.verb.base]
    elif form is Form.REQUEST:
        parts = ["please", c.verb.base]
    else:
        auxiliary, main = _verbs(c, supported=c.negated or inverted)
        if c.negated and not inverted:
            auxiliary = "cannot" if auxiliary == "can" else auxiliary + " not"
        if inverted:
            parts = [front, auxiliary, subject, "not" if c.negated else "", please, c.adverb.en, main]
        else:
            parts = [front, subject, auxiliary, c.adverb.en, main]
        if c.time_first and form is Form.STATEMENT:
            parts.insert(0, c.time.en)
        elif c.subordinate is not None and c.subordinate.leading:
            parts.insert(0, subordinate(c.subordinate) + ",")
    parts += _objects(c)
    parts.append(c.predicate.en)
    if c.phrase is not None and not opens_clause(c.phrase.nominal):
        parts.append(prepositional(c.phrase))
    if not c.time_first:
        parts.append(c.time.en)
    if c.subordinate is not None and not c.subordinate.leading:
        parts.append(subordinate(c.subordinate))
    return " ".join([part for part in parts if part])


def sentence(s: Sentence) -> str:
    """Return the written form of a sentence."""
    text = clause(s.clause, s.form, "please" if s.polite else "")
    if s.opening.en:
        text = s.opening.en + " " + text
    return text[0].upper() + text[1:] + ("?" if s.form is Form.QUESTION else ".")
