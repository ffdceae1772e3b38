"""Sampler of nested relative clauses."""

from nmt.phrasebook.events import can_carry_relative
from nmt.phrasebook.forms import THE, A
from nmt.phrasebook.grammar import NO_TEXT, Clause, NounPhrase, Verb
from nmt.phrasebook.lexicon import HE, SHE, WE, I
from nmt.phrasebook.scenes import SceneSampler


class RelativeSampler(SceneSampler):
    """Sampler of clauses that contain relative clauses."""

    def attach_relative(self, phrase: NounPhrase, depth: int, main: Verb) -> None:
        """Attach a relative clause to the noun phrase, with up to `depth` nested clauses including itself.

        `main` is the verb of the clause outside, which the relative clause does not repeat.
        """
        inner = self.relative(phrase)
        while inner.verb.base == main.base:
            inner = self.relative(phrase)
        if phrase.determiner not in (THE, A):
            phrase.determiner = THE
        phrase.relative = inner
        self.deepen(inner, depth - 1)

    def deepen(self, c: Clause, depth: int, on_subject: bool = True) -> None:
        """Attach a relative clause to a noun of a clause already drawn, at random and if a noun allows it."""
        if depth < 1 or self.random() * (depth + 1) >= depth:
            return
        subject = c.subject
        if on_subject and subject in (I, WE, HE, SHE) and self.chance(0.5):
            subject = c.subject = self.stranger()
        if on_subject and isinstance(subject, NounPhrase) and subject.noun.group == "people":
            self.attach_relative(subject, depth, c.verb)
        elif isinstance(c.direct, NounPhrase) and can_carry_relative(c.direct) and c.phrase is None:
            c.time = NO_TEXT
            self.attach_relative(c.direct, depth, c.verb)

    def with_relative(self, depth: int) -> Clause:
        """Draw a clause whose subject or object has a relative clause."""
        draw = self.random()
        if draw < 0.3:
            subject = self.described()
            c = self.description(subject)
            self.attach_relative(subject, depth, c.verb)
            return c
        if draw < 0.65:
            stranger = self.stranger()
            c = self.event(stranger)
            self.attach_relative(stranger, depth, c.verb)
            return c
        c = self.event(self.person())
        while not can_carry_relative(c.direct) or c.phrase is not None:
            c = self.event(self.person())
        assert isinstance(c.direct, NounPhrase)
        # A time after the relative clause would seem to belong to the relative clause.
        c.time = NO_TEXT
        self.attach_relative(c.direct, depth, c.verb)
        return c
