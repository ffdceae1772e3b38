"""Sampler of simple declarative clauses: events, descriptions, trains, weather, pain, opening hours."""

from nmt.phrasebook.events import EventSampler
from nmt.phrasebook.forms import MY, OUR, THE, THIS
from nmt.phrasebook.grammar import NO_TEXT, Clause, NounPhrase, Number, Phrase, Preposition, Tense, Text
from nmt.phrasebook.lexicon import BAD, CLOCK, FROM, FUTURE_TIMES, GOOD, IT, PAST_TIMES, SIDES, TO_CITY
from nmt.phrasebook.nouns import GROUPS, nouns
from nmt.phrasebook.verbs import ARRIVE, BE, BE_LATE, DEPART, HURT, RAIN, SNOW

LATE = Text("late", "Verspätung")
GOOD_WEATHER = (Text("good", "gut"), Text("beautiful", "schön"), Text("warm", "warm"))
BAD_WEATHER = (Text("bad", "schlecht"), Text("very bad", "sehr schlecht"), Text("very cold", "sehr kalt"))
_OPENNESS = (Text("open", "geöffnet"), Text("closed", "geschlossen"), Text("full", "voll"))
_DESCRIBED = nouns("clothes food drink luggage gear reading gift wheels lodging sight venue")
FOUND = nouns("luggage gear small reading")
_VEHICLES = GROUPS["vehicle"]
SHUT = nouns("service shop venue museum castle church")


class SceneSampler(EventSampler):
    """Sampler of clauses without subordinate clauses."""

    def plain(self) -> Clause:
        """Draw a clause without subordinate clauses."""
        draw = self.random()
        if draw < 0.72:
            return self.event(self.person())
        if draw < 0.83:
            return self.description()
        if draw < 0.91:
            return self.traffic()
        if draw < 0.94:
            return self.weather(self.pick((Tense.PAST, Tense.FUTURE)))
        if draw < 0.97:
            return self.pain()
        return self.openness()

    def described(self) -> NounPhrase:
        """Draw the subject of a description."""
        noun = self.pick(_DESCRIBED)
        number = Number(not noun.en[0] or (noun.en[1] != "" and self.chance(0.15)))
        determiner = self.pick((THE, THE, THE, THIS))
        return NounPhrase(noun, determiner, number)

    def description(self, subject: NounPhrase | None = None) -> Clause:
        """Draw a clause such as "the coat is too expensive" or "the key was on the table"."""
        if subject is None:
            if self.chance(0.3):
                noun = self.pick(FOUND)
                owner = self.pick((THE, MY, OUR))
                subject = NounPhrase(noun, owner, Number.SINGULAR, self.adjective(noun))
                tense = self.pick((Tense.PRESENT, Tense.PAST))
                return Clause(subject, BE, tense, phrase=self.spot())
            subject = self.described()
        tense = self.pick((Tense.PRESENT, Tense.PRESENT, Tense.PAST))
        return Clause(subject, BE, tense, predicate=self.judgement(subject))

    def judgement(self, subject: NounPhrase, good: bool | None = None) -> Text:
        """Draw a positive or negative adjective for the subject, with or without "very" or "too"."""
        group = subject.noun.group
        pro, contra = GOOD[group], BAD[group]
        if good is None:
            good = not contra or self.chance(0.5)
        adjective = self.pick(pro if good else contra)
        draw = self.random()
        if good:
            degree = Text("very ", "sehr ") if draw < 0.5 else NO_TEXT
        else:
            degree = Text("too ", "zu ") if draw < 0.6 else Text("very ", "sehr ")
        return Text(degree.en + adjective.en, degree.de + adjective.de)

    def vehicle(self, *ways: Preposition) -> NounPhrase:
        """Draw a vehicle such as "the first train to Berlin", with one of the prepositions `ways` ("to" and "from")."""
        noun = self.pick(_VEHICLES)
        phrase = NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun))
        if noun.en[0] != "ferry" and self.chance(0.75):
            phrase.modifier = Phrase(self.pick(ways or (TO_CITY, FROM)), self.city())
        return phrase

    def traffic(self) -> Clause:
        """Draw a clause such as "the next train to Berlin leaves at half past seven"."""
        subject = self.vehicle()
        from_city = subject.modifier is not None and subject.modifier.preposition is FROM
        draw = self.random()
        if draw < 0.15:
            return Clause(subject, BE_LATE, self.pick((Tense.PRESENT, Tense.PAST)), predicate=LATE)
        tense = self.pick((Tense.PRESENT, Tense.PRESENT, Tense.PAST))
        c = Clause(subject, ARRIVE if from_city else DEPART, tense)
        if tense is Tense.PRESENT:
            c.time = self.pick(CLOCK)
        else:
            c.time = self.pick(CLOCK) if self.chance(0.7) else self.pick(PAST_TIMES[-2:])
        return c

    def weather(self, tense: Tense) -> Clause:
        """Draw a clause about the weather."""
        draw = self.random()
        times = FUTURE_TIMES[:9] if tense is Tense.FUTURE else PAST_TIMES[:9]
        time = NO_TEXT if tense is Tense.PRESENT else self.pick(times)
        if draw < 0.4:
            return Clause(IT, RAIN if draw < 0.25 else SNOW, tense, time=time)
        subject = NounPhrase(GROUPS["weather"][0], THE)
        return Clause(subject, BE, tense, predicate=self.pick(GOOD_WEATHER + BAD_WEATHER), time=time)

    def pain(self) -> Clause:
        """Draw a clause about a part of the body that hurts."""
        noun = self.pick(GROUPS["body"])
        many = noun.en[1] != "" and self.chance(0.4)
        side = self.pick(SIDES) if noun.en[1] and not many and self.chance(0.7) else None
        return Clause(NounPhrase(noun, MY, Number(many), side), HURT)

    def openness(self) -> Clause:
        """Draw a clause about a building that is open, closed or full."""
        noun = self.pick(SHUT)
        predicate = self.pick(_OPENNESS[:2] if noun.group == "shop" else _OPENNESS)
        c = Clause(NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.2)), BE, predicate=predicate)
        if predicate is not _OPENNESS[2] and self.chance(0.5):
            c.time = self.pick(FUTURE_TIMES[1:9])
        return c
