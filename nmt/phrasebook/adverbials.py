"""Sampler of clauses with an adverbial clause: because, although, if, before, when, as soon as."""

from nmt.phrasebook.forms import BARE, THE, THIS
from nmt.phrasebook.grammar import NO_TEXT, Clause, Fixed, Nominal, NounPhrase, Number, Phrase, Subordinate, Tense, Text
from nmt.phrasebook.lexicon import FROM, IN_CITY, IT, THEY, THINGS, WE, YOU, I
from nmt.phrasebook.nouns import GROUPS
from nmt.phrasebook.phrases import reference
from nmt.phrasebook.relatives import RelativeSampler
from nmt.phrasebook.scenes import BAD_WEATHER, LATE
from nmt.phrasebook.verbs import ARRIVE, BE, BE_LATE, DATIVE, HAVE, HAVE_TO, RAIN, SNOW, TRANSITIVE, WORK, Aspect

BECAUSE, ALTHOUGH, IF = Text("because", "weil"), Text("although", "obwohl"), Text("if", "wenn")
BEFORE, WHEN_PAST, AS_SOON_AS = Text("before", "bevor"), Text("when", "als"), Text("as soon as", "sobald")
_ARRIVED = ("call", "meet", "take", "drink", "eat", "order", "help", "thank", "photograph")
_ON_ARRIVAL = tuple(frame for frame in TRANSITIVE + DATIVE if frame.verb.base in _ARRIVED)
_UNPLANNED = {frame.verb for frame in TRANSITIVE if frame.aspect is Aspect.MISHAP} | {ARRIVE}
_STATES = (Text("tired", "müde"), Text("ill", "krank"), Text("very tired", "sehr müde"))


class AdverbialSampler(RelativeSampler):
    """Sampler of clauses with adverbial clauses that fit their content."""

    def reason(self, subject: Nominal) -> Clause:
        """Draw a clause with "because" or "although": an action and a reason for it, against it, or despite it."""
        because = self.chance(0.6)
        if self.chance(0.55):
            future = self.chance(0.3)
            c = self.wanted(subject, (Tense.FUTURE if future else Tense.PAST, None))
            assert isinstance(c.direct, NounPhrase)
            c.direct.adjective = None
            if c.negated:
                c.direct.determiner, because = self.pick((THE, THIS)), True
                if c.direct.noun.en[0]:
                    c.direct.number = Number.SINGULAR
            is_good = because and not c.negated
            state = Clause(self.taken_up(c.direct), BE, predicate=self.judgement(c.direct, is_good))
            state.tense = Tense.PRESENT if future else Tense.PAST
        else:
            c = self.event_in(subject, Tense.PAST)
            c.negated = because
            self.soften(c)
            state = self.hindrance(reference(subject))
        c.subordinate = Subordinate(BECAUSE if because else ALTHOUGH, state)
        return c

    def soften(self, c: Clause) -> None:
        """Make the object of a negated clause definite and singular."""
        if c.negated and isinstance(c.direct, NounPhrase) and c.direct.determiner.quantity:
            c.direct.determiner = THE
            if c.direct.noun.en[0]:
                c.direct.number = Number.SINGULAR

    def taken_up(self, thing: NounPhrase) -> Fixed:
        """Return the pronoun of a thing, "it" or "they"; in German it agrees with the gender of the noun."""
        return THEY if thing.number is Number.PLURAL else THINGS[thing.noun.gender]

    def event_in(self, subject: Nominal, tense: Tense) -> Clause:
        """Draw an intended, positive action in the tense."""
        c = self.event(subject)
        while c.tense is not tense or c.modal is not None or c.verb in _UNPLANNED:
            c = self.event(subject)
        c.negated = False
        return c

    def hindrance(self, who: Fixed) -> Clause:
        """Draw a past state that is a reason against an action."""
        draw = self.random()
        if draw < 0.4:
            return Clause(who, BE, Tense.PAST, predicate=self.pick(_STATES))
        if draw < 0.55:
            return Clause(who, HAVE, Tense.PAST, negated=True, direct=self.free_time())
        if draw < 0.7:
            return Clause(who, WORK, Tense.PAST, HAVE_TO)
        if draw < 0.85:
            return Clause(IT, self.pick((RAIN, SNOW)), Tense.PAST)
        weather = NounPhrase(GROUPS["weather"][0], THE)
        return Clause(weather, BE, Tense.PAST, predicate=self.pick(BAD_WEATHER))

    def free_time(self) -> NounPhrase:
        return NounPhrase(GROUPS["time"][0], BARE)

    def condition(self, subject: Nominal) -> Clause:
        """Draw a conditional sentence, such as "if it rains, we will take the bus"."""
        draw = self.random()
        if draw < 0.3:
            c = self.wanted(subject, (Tense.FUTURE, None))
            assert isinstance(c.direct, NounPhrase)
            c.negated = False
            c.direct.adjective = None
            state = Clause(self.taken_up(c.direct), BE, predicate=self.judgement(c.direct, good=True))
            c.subordinate = Subordinate(IF, state)
            return c
        c = self.event_in(subject, Tense.FUTURE)
        leading = self.chance(0.5)
        if draw < 0.5:
            state = self.weather(Tense.PRESENT)
        elif draw < 0.65:
            state = Clause(self.vehicle(), BE_LATE, predicate=LATE)
        else:
            who = YOU if subject in (I, WE) and self.chance(0.5) else reference(subject)
            leading = leading and (who is YOU or who is subject)
            state = Clause(who, HAVE, direct=self.free_time())
        if leading:
            c.time = NO_TEXT
        c.subordinate = Subordinate(IF, state, leading=leading)
        return c

    def sequence(self, subject: Nominal, depth: int) -> Clause:
        """Draw a clause with "before we left the hotel", "when the train arrived" or "as soon as I arrive"."""
        who = reference(subject)
        draw = self.random()
        if draw < 0.4:
            tense = self.pick((Tense.PAST, Tense.FUTURE))
            c = self.event_in(subject, tense)
            inner = self.action(who, Tense.PAST if tense is Tense.PAST else Tense.PRESENT)
            while inner.verb is c.verb:
                inner = self.action(who, inner.tense)
            self.deepen(inner, depth - 1)
            c.time = NO_TEXT
            c.subordinate = Subordinate(BEFORE, inner)
            return c
        tense = self.pick((Tense.PAST, Tense.FUTURE))
        c = self.doing(self.pick(_ON_ARRIVAL), subject, (tense, None), timed=False)
        c.negated, c.phrase = False, None
        inner_tense = Tense.PAST if tense is Tense.PAST else Tense.PRESENT
        if self.chance(0.5):
            inner = Clause(who, ARRIVE, inner_tense, phrase=self.arrival())
        else:
            inner = Clause(self.vehicle(FROM), ARRIVE, inner_tense)
        leading = self.chance(0.4) and (inner.subject is not who or who is subject)
        c.subordinate = Subordinate(WHEN_PAST if tense is Tense.PAST else AS_SOON_AS, inner, leading=leading)
        return c

    def arrival(self) -> Phrase:
        if self.chance(0.5):
            return Phrase(IN_CITY, self.city())
        return self.place(self.pick(GROUPS["stop"]))
