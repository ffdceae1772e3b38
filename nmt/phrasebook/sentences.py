"""Sampler of sentences: statements, questions, requests and fixed patterns of phrase books."""

from nmt.phrasebook.forms import THE, THIS, WHICH, A, verb
from nmt.phrasebook.grammar import NO_TEXT, Clause, Form, NounPhrase, Number, Phrase, Sentence, Subordinate, Tense, Text
from nmt.phrasebook.lexicon import FOR, GOOD, IT, NUMERALS, PRICES, THERE, TO_CITY, TO_PLACE, WE, WHAT, WHO, YOU, I
from nmt.phrasebook.nesting import THAT, WHERE, NestingSampler
from nmt.phrasebook.nouns import GROUPS, nouns
from nmt.phrasebook.phrases import AT
from nmt.phrasebook.verbs import (
    BE,
    BRING,
    CAN,
    COST,
    COULD,
    DATIVE,
    GET_TO,
    KNOW,
    MAY,
    PLACING,
    TELL,
    THERE_BE,
    THINK,
    TRANSITIVE,
    WANT,
    WOULD_LIKE_SOME,
)

_EXCUSE_ME = Text("excuse me,", "Entschuldigung,")
_HOW, _HOW_FAR, _HOW_MUCH = Text("how", "wie"), Text("how far", "wie weit"), Text("how much", "wie viel")
_GERN = Text("", "gern")
_REQUESTABLE = tuple(frame for frame in TRANSITIVE + DATIVE + PLACING if frame.request)
_PRICED = nouns("clothes luggage gear gift reading wheels food lodging")
_ORDERED = nouns("measure measure food room table")
_BUILDINGS = nouns("shop venue bank pharmacy hospital library theatre cinema museum park bus_stop")
_GOALS = nouns("stop sight venue service shop")
_RUN = verb("go went = fahren fährt gefahren sein")
_PERMITTED = tuple(
    frame for frame in TRANSITIVE if frame.wanted or frame.verb.base in ("open", "close", "call", "use", "take", "pay")
)
_WHAT_FRAMES = tuple(
    frame for frame in TRANSITIVE if frame.wanted and frame.direct[0].group not in ("sight", "lodging", "family")
)


class SentenceSampler(NestingSampler):
    """Sampler of sentences."""

    def sentence(self, depth: int) -> Sentence:
        """Draw a sentence with at most `depth` nested subordinate clauses."""
        draw = self.random()
        if draw < 0.52:
            return self.assertion(depth)
        if draw < 0.66:
            return self.polar_question(depth)
        if draw < 0.78:
            return self.open_question(depth)
        if draw < 0.88:
            return self.request(depth)
        return self.pattern()

    def assertion(self, depth: int) -> Sentence:
        """Draw a statement."""
        c = self.statement(depth)
        leading = c.subordinate is not None and c.subordinate.leading
        c.time_first = c.time is not NO_TEXT and not leading and self.chance(0.3)
        return Sentence(c, Form.STATEMENT)

    def polar_question(self, depth: int) -> Sentence:
        """Draw a question that is answered with yes or no."""
        if depth and self.chance(depth / (depth + 2)):
            if self.chance(0.5):
                c = Clause(YOU, self.pick((KNOW, THINK)))
                if c.verb is KNOW:
                    c.subordinate = self.indirect_question(depth)
                else:
                    c.subordinate = Subordinate(THAT, self.statement(depth - 1))
                return Sentence(c, Form.QUESTION)
            polite = Clause(YOU, TELL, Tense.PRESENT, COULD, indirect=self.pick((I, WE)))
            polite.subordinate = self.indirect_question(depth)
            return Sentence(polite, Form.QUESTION, polite=True)
        draw = self.random()
        if draw < 0.2:
            return Sentence(self.openness(), Form.QUESTION)
        if draw < 0.35:
            return Sentence(self.description(), Form.QUESTION)
        if draw < 0.5:
            asker = self.pick((I, WE))
            modal = self.pick((CAN, MAY))
            c = self.doing(self.pick(_PERMITTED), asker, (Tense.PRESENT, modal), question=True)
            c.time = NO_TEXT
            return Sentence(c, Form.QUESTION)
        subject = self.person(question=True)
        while subject is I or subject is WE:
            subject = self.person(question=True)
        c = self.event(subject, question=True)
        self.deepen(c, depth)
        return Sentence(c, Form.QUESTION)

    def open_question(self, depth: int) -> Sentence:
        """Draw a question with a question word."""
        draw = self.random()
        if draw < 0.55:
            return Sentence(self.asking(depth), Form.QUESTION)
        if draw < 0.75:
            c = self.past_or_state(self.pick(TRANSITIVE), WHO, None)
            self.deepen(c, depth)
            return Sentence(c, Form.QUESTION)
        if draw < 0.9:
            subject = self.person(question=True)
            tense = self.pick(((Tense.PAST, None), (Tense.FUTURE, None), (Tense.PRESENT, WANT)))
            c = self.doing(self.pick(_WHAT_FRAMES), subject, tense, WHAT, question=True)
            return Sentence(c, Form.QUESTION)
        vehicle = NounPhrase(self.pick(GROUPS["vehicle"][:2]), WHICH)
        c = Clause(vehicle, _RUN)
        if self.chance(0.5):
            c.phrase = Phrase(TO_CITY, self.city())
        else:
            c.phrase = Phrase(TO_PLACE, NounPhrase(self.pick(_GOALS), THE))
        return Sentence(c, Form.QUESTION)

    def request(self, depth: int) -> Sentence:
        """Draw a request, such as "please bring me the bill" or "could you please close the window"."""
        frame = self.pick(_REQUESTABLE)
        asker = self.pick((I, WE))
        c = Clause(YOU, frame.verb)
        noun = self.pick(frame.direct)
        if noun.group in ("people", "family"):
            c.direct = self.other_person(YOU)
        else:
            c.direct = self.thing(noun, asker)
            if frame.verb is not BRING and c.direct.determiner.quantity:
                c.direct.determiner = self.pick((THE, THIS))
        if frame.indirect:
            c.indirect = asker if self.chance(0.7) else self.other_person(YOU)
        if frame in PLACING:
            c.phrase = self.destination(frame.verb)
        self.deepen(c, depth, on_subject=False)
        if self.chance(0.45):
            return Sentence(c, Form.REQUEST)
        c.modal = self.pick((COULD, COULD, CAN))
        return Sentence(c, Form.QUESTION, polite=c.modal is COULD)

    def pattern(self) -> Sentence:
        """Draw a fixed pattern of phrase books, with random words."""
        opening = _EXCUSE_ME if self.chance(0.3) else NO_TEXT
        draw = self.random()
        if draw < 0.15:
            noun = self.pick(_GOALS)
            place = NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.3))
            return Sentence(Clause(place, BE, question_word=WHERE), Form.QUESTION, opening)
        if draw < 0.35:
            goal = self.pick(_GOALS)
            phrase = Phrase(TO_PLACE, NounPhrase(goal, THE, Number.SINGULAR, self.adjective(goal, 0.3)))
            if self.chance(0.4):
                return Sentence(Clause(IT, BE, question_word=_HOW_FAR, phrase=phrase), Form.QUESTION, opening)
            return Sentence(
                Clause(self.pick((I, WE)), GET_TO, question_word=_HOW, phrase=phrase), Form.QUESTION, opening
            )
        if draw < 0.6:
            return self.price(opening)
        if draw < 0.8:
            return self.existence(opening)
        return self.order()

    def price(self, opening: Text) -> Sentence:
        """Draw a question about a price, or a statement of one."""
        noun = self.pick(_PRICED)
        number = Number(not noun.en[0] or self.chance(0.2))
        adjective = self.adjective(noun, 0.5)
        subject = NounPhrase(noun, self.pick((THE, THIS)), number, adjective)
        if self.chance(0.4):
            return Sentence(Clause(subject, COST, question_word=_HOW_MUCH), Form.QUESTION, opening)
        return Sentence(Clause(subject, COST, predicate=self.pick(PRICES)), Form.STATEMENT)

    def existence(self, opening: Text) -> Sentence:
        """Draw a sentence such as "is there a bakery next to the station?"."""
        noun = self.pick(_BUILDINGS)
        adjective = self.pick(GOOD[noun.group]) if noun.group in GOOD and self.chance(0.3) else None
        question = self.chance(0.6)
        many = not question and self.chance(0.4)
        thing = NounPhrase(noun, self.pick(NUMERALS[:3]) if many else A, Number(many), adjective)
        if self.chance(0.25):
            street = GROUPS["street"][0]
            where = Phrase(AT[street], NounPhrase(street, THIS))
        else:
            where = self.near(noun)
        c = Clause(THERE[many], THERE_BE, direct=thing, phrase=where)
        return Sentence(c, Form.QUESTION if question else Form.STATEMENT, opening if question else NO_TEXT)

    def order(self) -> Sentence:
        """Draw an order, such as "I would like a room for two nights"."""
        noun = self.pick(_ORDERED)
        group = noun.group
        many = group in ("measure", "food") and self.chance(0.4)
        adjective = self.adjective(noun) if group in ("food", "lodging") else None
        thing = NounPhrase(noun, self.pick(NUMERALS[:5]) if many else A, Number(many), adjective)
        if group in ("lodging", "furniture"):
            measure = GROUPS["person" if group == "furniture" or self.chance(0.4) else "night"][0]
            count = self.pick(NUMERALS[:5])
            thing.modifier = Phrase(FOR, NounPhrase(measure, count, Number.PLURAL))
        c = Clause(self.pick((I, WE)), WOULD_LIKE_SOME, direct=thing, adverb=_GERN)
        return Sentence(c, Form.STATEMENT)
