"""Sampler of clauses about actions of people, with fitting verb, tense, objects, place and time."""

from nmt.phrasebook.forms import THE, THIS, A
from nmt.phrasebook.grammar import (
    NO_TEXT,
    Case,
    Clause,
    Fixed,
    Nominal,
    Noun,
    NounPhrase,
    Number,
    Phrase,
    Preposition,
    Tense,
    Verb,
)
from nmt.phrasebook.lexicon import (
    APPOINTMENTS,
    BAD,
    CLOCK,
    FREQUENCIES,
    FUTURE_TIMES,
    GOOD,
    HABITS,
    IN_CITY,
    LONG_AGO,
    PAST_TIMES,
    RELATIVE_PERSON,
    RELATIVE_PLACE,
    RELATIVE_THING,
    TO_CITY,
    YOU,
)
from nmt.phrasebook.phrases import PhraseSampler
from nmt.phrasebook.verbs import (
    CAN,
    DATIVE,
    HAVE,
    HAVE_TO,
    LIVE,
    LOCATED,
    NEED,
    PLACING,
    PREPOSITIONAL,
    SHOULD,
    TO_CITIES,
    TRANSITIVE,
    WANT,
    WORK,
    WOULD_LIKE,
    Aspect,
    Frame,
)

_LONG = {"sight", "family", "wheels"}
_PLANS = (CAN, SHOULD, HAVE_TO, WANT, WOULD_LIKE)
RELATIVIZABLE = {"people", "food", "foodstuff", "clothes", "luggage", "gear", "small", "reading", "writing"}
RELATIVIZABLE |= {"gift", "wheels", "sight", "venue", "lodging"}


def _group_by_object() -> dict[Noun, tuple[Frame, ...]]:
    frames_of: dict[Noun, list[Frame]] = {}
    for frame in TRANSITIVE:
        for noun in frame.direct:
            frames_of.setdefault(noun, []).append(frame)
    return {noun: tuple(frames) for noun, frames in frames_of.items()}


FRAMES_OF = _group_by_object()
# Food that was eaten cannot be the object of a further action.
RELATIVE_FRAMES_OF = {
    noun: tuple(frame for frame in frames if frame.verb.base != "eat") for noun, frames in FRAMES_OF.items()
}
DOABLE_AT: dict[Noun, tuple[Frame, ...]] = {
    noun: tuple(frame for frame in TRANSITIVE if noun in frame.places and frame.aspect is Aspect.ACTION)
    for frame in TRANSITIVE
    for noun in frame.places
}
_SLEPT_OR_WORKED = tuple(frame for frame in LOCATED if frame.aspect is not Aspect.STATE or frame.verb is WORK)
_HELPING = tuple(frame for frame in DATIVE if not frame.direct)
_ACTIONS = tuple(frame for frame in TRANSITIVE if frame.aspect is Aspect.ACTION)
_JUDGED = {group for group in GOOD if GOOD[group] and BAD[group]}
_WANTED = tuple(frame for frame in TRANSITIVE if frame.wanted)


def can_carry_relative(nominal: Nominal | None) -> bool:
    """Return whether a relative clause can be attached to the nominal."""
    return isinstance(nominal, NounPhrase) and nominal.noun.group in RELATIVIZABLE and nominal.modifier is None


class EventSampler(PhraseSampler):
    """Sampler of clauses with a person as subject."""

    def tense(self, frame: Frame) -> tuple[Tense, Verb | None]:
        """Draw a tense that fits the action, possibly with a modal verb."""
        if frame.aspect is Aspect.STATE:
            return Tense.PRESENT, None
        if frame.aspect is Aspect.MISHAP:
            return Tense.PAST, None
        draw = self.random()
        if draw < 0.4 or (not frame.habit and draw < 0.5):
            return Tense.PAST, None
        if draw < 0.5:
            return Tense.PRESENT, None
        if draw < 0.7:
            return Tense.FUTURE, None
        if draw < 0.8:
            return Tense.PAST, self.pick((WANT, HAVE_TO))
        return Tense.PRESENT, self.pick(_PLANS)

    def time(self, c: Clause, long: bool = False) -> None:
        """Add a time that fits the tense (in two thirds of the cases, and always for habits)."""
        if c.tense is Tense.PRESENT and c.modal is None:
            if self.chance(0.5):
                c.time = self.pick(HABITS)
            else:
                c.adverb = self.pick(FREQUENCIES)
        elif self.chance(0.33):
            return
        elif c.tense is Tense.PAST:
            c.time = self.pick(LONG_AGO if long and self.chance(0.5) else PAST_TIMES)
        else:
            exact = (APPOINTMENTS, CLOCK) if not c.negated else ()
            c.time = self.pick(self.pick((FUTURE_TIMES, FUTURE_TIMES, FUTURE_TIMES, *exact)))

    def event(self, subject: Nominal, question: bool = False) -> Clause:
        """Draw a clause about an action of the subject."""
        draw = self.random()
        if draw < 0.5:
            return self.doing(self.pick(TRANSITIVE), subject, question=question)
        if draw < 0.65:
            return self.doing(self.pick(DATIVE), subject, question=question)
        if draw < 0.78:
            return self.doing(self.pick(PREPOSITIONAL), subject, question=question)
        if draw < 0.84:
            return self.doing(self.pick(PLACING), subject, question=question)
        if draw < 0.93:
            return self.doing(self.pick(LOCATED), subject, question=question)
        return self.journey(subject)

    def doing(
        self,
        frame: Frame,
        subject: Nominal,
        tense: tuple[Tense, Verb | None] | None = None,
        gap: Fixed | None = None,
        timed: bool = True,
        question: bool = False,
    ) -> Clause:
        """Draw a clause of the frame; `gap` is a relative pronoun or question word in place of the object."""
        when, modal = tense or self.tense(frame)
        state = frame.aspect is Aspect.STATE
        habit = when is Tense.PRESENT and modal is None and not state
        negated = not habit and not question and self.chance(0.15)
        if negated and (modal is WOULD_LIKE or frame.aspect is Aspect.MISHAP):
            negated = False
        c = Clause(subject, frame.verb, when, modal, negated)
        if frame.indirect:
            c.indirect = self.other_person(subject)
        if gap is not None:
            if frame.direct:
                c.direct = gap
            else:
                c.indirect = gap
        elif frame.direct:
            noun = self.pick(frame.direct)
            if noun.group == "people":
                c.direct = self.other_person(subject)
            else:
                many = frame.wanted or frame.verb is NEED
                c.direct = self.thing(noun, subject, habit, negated, many)
                if frame.verb is HAVE and c.direct.determiner in (THE, THIS):
                    c.direct.determiner, c.direct.number = A, Number.SINGULAR
        if frame.preposition is not None:
            target = self.pick(frame.targets)
            c.phrase = Phrase(frame.preposition, self.target(target, subject))
        elif frame in PLACING:
            c.phrase = self.destination(frame.verb)
        elif frame.targets:
            c.phrase = self.place(self.pick(frame.targets))
        elif frame.places and not negated and self.chance(0.3):
            c.phrase = self.place(self.pick(frame.places))
        if (timed and not state) or habit:
            noun_group = c.direct.noun.group if isinstance(c.direct, NounPhrase) else ""
            self.time(c, noun_group in _LONG)
        return c

    def target(self, noun: Noun, subject: Nominal) -> Nominal:
        """Draw the noun phrase of an obligatory prepositional phrase."""
        if noun.group == "family":
            return self._family(noun, subject)
        if noun.group == "people":
            return self.stranger()
        return NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.15))

    def journey(self, subject: Nominal) -> Clause:
        """Draw a clause such as "we flew to Vienna" or "my uncle lives in Cologne"."""
        if self.chance(0.35):
            verb = LIVE if self.chance(0.6) else WORK
            return Clause(subject, verb, phrase=Phrase(IN_CITY, self.city()), negated=self.chance(0.1))
        tense, modal = self.tense(_SOME_ACTION)
        c = Clause(subject, self.pick(TO_CITIES), tense, modal, phrase=Phrase(TO_CITY, self.city()))
        self.time(c, long=True)
        return c

    def relative(self, antecedent: NounPhrase) -> Clause:
        """Draw a relative clause for the noun phrase, without attaching it."""
        noun = antecedent.noun
        column = 3 if antecedent.number is Number.PLURAL else noun.gender
        if noun.group == "people":
            draw = self.random()
            if draw < 0.6:
                return self._relative_of_subject(RELATIVE_PERSON[column])
            if draw < 0.75:
                frame = self.pick(_HELPING)
                return self.past_or_state(frame, self.subject_but_you(), RELATIVE_PERSON[column])
            frame = self.pick(FRAMES_OF[noun])
            return self.past_or_state(frame, self.subject_but_you(), RELATIVE_PERSON[column])
        if noun in _PLACES_TO_BE and self.chance(0.4):
            gap = RELATIVE_PLACE[column]
            frame = self.pick([frame for frame in _SLEPT_OR_WORKED if noun in frame.targets])
            c = self.past_or_state(frame, self.subject_but_you(), None)
            c.phrase = Phrase(Preposition("in", "in", Case.DATIVE), gap)
            return c
        frame = self.pick(RELATIVE_FRAMES_OF[noun])
        return self.past_or_state(frame, self.subject_but_you(), RELATIVE_THING[column])

    def subject_but_you(self) -> Nominal:
        subject = self.person()
        return subject if subject is not YOU else self.person()

    def past_or_state(self, frame: Frame, subject: Nominal, gap: Fixed | None) -> Clause:
        state = frame.aspect is Aspect.STATE
        c = self.doing(frame, subject, (Tense.PRESENT if state else Tense.PAST, None), gap, timed=False)
        c.negated = False
        if not state and self.chance(0.35):
            c.time = self.pick(PAST_TIMES)
        return c

    def _relative_of_subject(self, pronoun: Fixed) -> Clause:
        draw = self.random()
        if draw < 0.25:
            return Clause(pronoun, self.pick((LIVE, WORK)), phrase=Phrase(IN_CITY, self.city()))
        if draw < 0.4:
            return self.past_or_state(LOCATED[0], pronoun, None)
        if draw < 0.6:
            return self.past_or_state(self.pick(DATIVE), pronoun, None)
        return self.past_or_state(self.pick(TRANSITIVE), pronoun, None)

    def action(self, subject: Nominal, tense: Tense) -> Clause:
        """Draw a short action without a time, for "before we ..." or "tried to ..."."""
        frame = self.pick(_ACTIONS)
        c = self.doing(frame, subject, (tense, None), timed=False)
        c.negated = False
        c.time = c.adverb = NO_TEXT
        return c

    def wanted(self, subject: Nominal, tense: tuple[Tense, Verb | None]) -> Clause:
        """Draw an action whose reason is the quality of its object."""
        timed = self.chance(0.4)
        c = self.doing(self.pick(_WANTED), subject, tense, timed=timed)
        while not (isinstance(c.direct, NounPhrase) and c.direct.noun.group in _JUDGED):
            c = self.doing(self.pick(_WANTED), subject, tense, timed=timed)
        return c


_SOME_ACTION = next(frame for frame in TRANSITIVE if frame.aspect is Aspect.ACTION and not frame.habit)
_PLACES_TO_BE = {noun for frame in _SLEPT_OR_WORKED for noun in frame.targets if noun.at.de == "in"}
