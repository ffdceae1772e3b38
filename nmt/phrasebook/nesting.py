"""Sampler of declarative clauses with nested subordinate clauses up to a given depth."""

from nmt.phrasebook.adverbials import AdverbialSampler
from nmt.phrasebook.events import DOABLE_AT
from nmt.phrasebook.forms import MY, OUR, THE
from nmt.phrasebook.grammar import NO_TEXT, Clause, Form, Nominal, NounPhrase, Number, Phrase, Subordinate, Tense, Text
from nmt.phrasebook.lexicon import TO_PLACE, WE, YOU, I
from nmt.phrasebook.nouns import nouns
from nmt.phrasebook.phrases import AT
from nmt.phrasebook.scenes import FOUND, SHUT
from nmt.phrasebook.verbs import (
    ASK,
    BE,
    BE_LATE,
    BELIEVE,
    CAN,
    DECIDE,
    DRIVE,
    FORGET,
    GO,
    HAVE,
    HOPE,
    KNOW,
    NEED,
    SAY,
    THINK,
    TRY,
)

THAT, WHETHER = Text("that", "dass"), Text("whether", "ob")
IN_ORDER_TO = Text("", "um")
WHEN, WHERE, WHY = Text("when", "wann"), Text("where", "wo"), Text("why", "warum")
_DESTINATIONS = nouns("supermarket market bakery bookshop department_store")
_PORTABLE = {"food", "foodstuff", "clothes", "reading", "wheels", "luggage", "gear"}
_NOWHERE = {NEED}


class NestingSampler(AdverbialSampler):
    """Sampler of clauses with at most `depth` subordinate clauses, each nested in the one before."""

    def statement(self, depth: int) -> Clause:
        """Draw a declarative clause, which has a subordinate clause with probability depth / (depth + 1)."""
        if self.random() * (depth + 1) >= depth:
            return self.plain()
        draw = self.random()
        # Deep nesting needs clauses that can contain further clauses.
        if depth > 1:
            draw *= 0.8
        if draw < 0.42:
            return self.with_relative(depth)
        if draw < 0.68:
            return self.complement(depth)
        if draw < 0.78:
            return self.infinitive(depth)
        return self.adverbial(depth)

    def speaker(self) -> Nominal:
        """Draw a subject other than "you"."""
        subject = self.person()
        return self.pick((I, WE)) if subject is YOU or self.chance(0.3) else subject

    def complement(self, depth: int) -> Clause:
        """Draw a clause such as "I think that ..." or "the waiter knows when ..."."""
        subject = self.speaker()
        draw = self.random()
        if draw < 0.6:
            verb = self.pick((KNOW, THINK, BELIEVE) if subject in (I, WE) else (KNOW, THINK, SAY, BELIEVE))
            return Clause(subject, verb, subordinate=Subordinate(THAT, self.statement(depth - 1)))
        if draw < 0.75:
            inner = self.statement(depth - 1)
            while inner.tense is Tense.PAST or inner.modal not in (None, CAN):
                inner = self.statement(depth - 1)
            return Clause(subject, HOPE, subordinate=Subordinate(THAT, inner))
        verb = KNOW if subject is I or subject is WE else self.pick((KNOW, ASK))
        return Clause(subject, verb, negated=verb is KNOW, subordinate=self.indirect_question(depth))

    def indirect_question(self, depth: int) -> Subordinate:
        """Draw an indirect question, such as "whether it will rain" or "when the train arrives"."""
        if self.chance(0.4):
            return Subordinate(WHETHER, self.statement(depth - 1))
        return Subordinate(NO_TEXT, self.asking(depth - 1))

    def asking(self, depth: int) -> Clause:
        """Draw a clause that opens with a question word in place of an adverbial."""
        draw = self.random()
        if draw < 0.3:
            c = self.traffic()
            c.time = NO_TEXT
            c.question_word = WHY if c.verb is BE_LATE else WHEN
            return c
        if draw < 0.5:
            noun = self.pick(SHUT + FOUND)
            determiner = THE if noun in AT else self.pick((MY, OUR, THE))
            return Clause(NounPhrase(noun, determiner, Number.SINGULAR), BE, question_word=WHERE)
        c = self.event(self.person(question=True))
        while (c.tense is Tense.PRESENT and c.modal is None) or c.negated or c.verb is HAVE:
            c = self.event(self.person(question=True))
        c.time = c.adverb = NO_TEXT
        if c.phrase is None and c.direct is not None and c.indirect is None and self.chance(0.4):
            portable = isinstance(c.direct, NounPhrase) and c.direct.noun.group in _PORTABLE
            c.question_word = WHERE if portable and c.verb not in _NOWHERE else WHEN
        else:
            c.question_word = WHY if c.tense is Tense.PAST and self.chance(0.5) else WHEN
        self.deepen(c, depth)
        return c

    def infinitive(self, depth: int) -> Clause:
        """Draw a clause such as "tried to call the doctor" or "went to the market to buy bread"."""
        subject = self.speaker()
        if self.chance(0.6):
            inner = self.action(subject, Tense.PRESENT)
            self.deepen(inner, depth - 1, on_subject=False)
            verb = self.pick((TRY, FORGET, DECIDE))
            return Clause(subject, verb, Tense.PAST, subordinate=Subordinate(NO_TEXT, inner, Form.INFINITIVE))
        place = self.pick(_DESTINATIONS)
        frame = self.pick(DOABLE_AT[place])
        inner = self.doing(frame, subject, (Tense.PRESENT, CAN), timed=False)
        inner.phrase, inner.negated = None, False
        self.deepen(inner, depth - 1, on_subject=False)
        tense = self.pick((Tense.PAST, Tense.FUTURE))
        phrase = Phrase(TO_PLACE, NounPhrase(place, THE, Number.SINGULAR, self.adjective(place, 0.15)))
        c = Clause(subject, self.pick((GO, DRIVE)), tense, phrase=phrase)
        c.subordinate = Subordinate(IN_ORDER_TO, inner, Form.INFINITIVE)
        return c

    def adverbial(self, depth: int) -> Clause:
        """Draw a clause with an adverbial clause."""
        subject = self.speaker()
        draw = self.random()
        if draw < 0.35:
            return self.reason(subject)
        if draw < 0.6:
            return self.condition(subject)
        return self.sequence(subject, depth)
