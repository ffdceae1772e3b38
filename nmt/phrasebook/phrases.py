"""Sampler of noun phrases with fitting determiner, number and adjective."""

import random
from collections.abc import Sequence
from typing import TypeVar

from nmt.phrasebook.forms import BARE, HER, HIS, MY, OUR, THE, THIS, YOUR, A
from nmt.phrasebook.grammar import (
    Adjective,
    Case,
    Determiner,
    Fixed,
    Gender,
    Nominal,
    Noun,
    NounPhrase,
    Number,
    Phrase,
    Preposition,
    Verb,
)
from nmt.phrasebook.lexicon import ADJECTIVES, CITIES, GENTLEMEN, HE, LADIES, NUMERALS, SHE, THEY, TWO_WAY, WE, YOU, I
from nmt.phrasebook.nouns import GROUPS

T = TypeVar("T")

_MASS = {"foodstuff", "drink", "time"}
# Nouns of which a situation has only one, so the determiner is "the".
_UNIQUE = {"vehicle", "transit", "opening", "bill", "menu", "weather", "furniture", "people"}
_MANY = {"food", "measure", "writing"}
_PLACES = {"sight", "venue", "service", "shop", "stop", "outdoors", "street"}
_OWNED = {"clothes", "small", "reading", "wheels", "writing", "lodging", "luggage", "gear"}
_OWNER = {id(I): MY, id(WE): OUR, id(YOU): YOUR, id(HE): HIS, id(SHE): HER}

AT: dict[Noun, Preposition] = {
    n: Preposition(n.at.en, n.at.de, Case.DATIVE) for group in GROUPS.values() for n in group if n.at.en
}
_WHERE = tuple(Preposition(text.en, text.de, Case.DATIVE) for text in TWO_WAY)
_WHERE_TO = tuple(Preposition(text.en, text.de, Case.ACCUSATIVE) for text in TWO_WAY)
_SEVERAL = {"brother", "sister", "son", "daughter", "friend", "colleague", "neighbour", "uncle", "aunt"}


def reference(nominal: Nominal) -> Fixed:
    """Return the pronoun that refers to a person mentioned before."""
    if isinstance(nominal, NounPhrase):
        if nominal.number is Number.PLURAL:
            return THEY
        return HE if nominal.noun.gender is Gender.MASCULINE else SHE
    if nominal.light:
        return nominal
    return HE if nominal in GENTLEMEN else SHE


class PhraseSampler:
    """Sampler of noun phrases. Only `Random.random` is used, whose numbers are the same in every Python version."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def pick(self, choices: Sequence[T]) -> T:
        """Draw one of the choices."""
        return choices[int(self.random() * len(choices))]

    def chance(self, probability: float) -> bool:
        """Draw True with the given probability."""
        return self.random() < probability

    def adjective(self, noun: Noun, probability: float = 0.3) -> Adjective | None:
        """Draw an adjective for the noun with the given probability, if its group has adjectives."""
        fitting = ADJECTIVES.get(noun.group)
        return self.pick(fitting) if fitting and self.random() < probability else None

    def person(self, question: bool = False) -> Nominal:
        """Draw a person as the subject of a sentence."""
        draw = self.random()
        if draw < 0.42:
            if question and draw < 0.3:
                return YOU
            return self.pick((I, WE, HE, SHE))
        if draw < 0.72:
            return self.relative_of(self.pick((YOUR, YOUR, MY) if question else (MY, MY, OUR, HIS, YOUR)))
        if draw < 0.82:
            return self.pick(GENTLEMEN + LADIES)
        return self.stranger()

    def relative_of(self, determiner: Determiner) -> NounPhrase:
        """Draw a relative or friend with a possessive, such as "my sister"."""
        noun = self.pick(GROUPS["family"])
        many = not noun.en[0] or (noun.en[1] != "" and self.random() < 0.1)
        many = many and (not noun.en[0] or noun.en[0] in _SEVERAL)
        return NounPhrase(noun, determiner, Number(many))

    def stranger(self) -> NounPhrase:
        """Draw a person with the article, such as "the friendly waiter", who can have a relative clause."""
        noun = self.pick(GROUPS["people"])
        return NounPhrase(noun, THE, Number(self.random() < 0.2), self.adjective(noun, 0.25))

    def other_person(self, subject: Nominal) -> Nominal:
        """Draw a person other than the subject, as object."""
        draw = self.random()
        if draw < 0.3:
            if subject is I or subject is WE:
                return self.pick((YOU, HIM_OR_HER[0], HIM_OR_HER[1]))
            return self.pick((I, WE))
        if draw < 0.6:
            return self.stranger()
        if draw < 0.75:
            return self.pick(GENTLEMEN + LADIES)
        return self.relative_of(self.owner(subject) or MY)

    def owner(self, subject: Nominal) -> Determiner | None:
        """Return the possessive of the subject; None for plurals, because "ihr" means both "her" and "their"."""
        if isinstance(subject, Fixed) and subject.front:
            return None
        return _OWNER.get(id(reference(subject)))

    def thing(
        self, noun: Noun, subject: Nominal, habit: bool = False, negated: bool = False, many: bool = True
    ) -> NounPhrase:
        """Draw a noun phrase as the object of an action of `subject`."""
        draw = self.random()
        group = noun.group
        if group == "family":
            return self._family(noun, subject)
        adjective = self.adjective(noun)
        if not noun.en[0]:
            owned = self.owner(subject) if draw < 0.4 else None
            return NounPhrase(noun, owned or self.pick((THE, THIS, BARE)), Number.PLURAL, adjective)
        if group in _MASS:
            return NounPhrase(noun, BARE if habit or draw < 0.5 else THE, Number.SINGULAR, adjective)
        if group in _UNIQUE:
            number = Number(bool(noun.en[1]) and group in ("opening", "people") and draw > 0.85)
            return NounPhrase(noun, THE, number, adjective)
        if group in _PLACES:
            return NounPhrase(noun, THIS if draw > 0.85 and not habit else THE, Number.SINGULAR, adjective)
        if habit:
            return NounPhrase(noun, A, Number.SINGULAR, adjective)
        if draw < 0.3:
            return NounPhrase(noun, THE, Number.SINGULAR, adjective)
        if draw < 0.55:
            return NounPhrase(noun, A, Number.SINGULAR, adjective)
        if draw < 0.7:
            owned = self.owner(subject) if group in _OWNED else None
            return NounPhrase(noun, owned or THIS, Number.SINGULAR, adjective)
        if draw < 0.78:
            return NounPhrase(noun, self.pick((THIS, THE)), Number.PLURAL, adjective)
        if draw < 0.9 and not negated:
            return NounPhrase(noun, self.pick(NUMERALS if group in _MANY else NUMERALS[:3]), Number.PLURAL, adjective)
        if not many or group in ("lodging", "small"):
            return NounPhrase(noun, THE, Number.SINGULAR, adjective)
        return NounPhrase(noun, BARE, Number.PLURAL, adjective)

    def _family(self, noun: Noun, subject: Nominal) -> NounPhrase:
        many = not noun.en[0] or (noun.en[0] in _SEVERAL and self.random() < 0.15)
        return NounPhrase(noun, self.owner(subject) or self.pick((MY, OUR)), Number(many))

    def place(self, noun: Noun) -> Phrase:
        """Draw a phrase such as "at the new station"."""
        return Phrase(AT[noun], NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.15)))

    def spot(self) -> Phrase:
        """Draw the location of a thing, such as "on the table", with the dative."""
        noun = self.pick(GROUPS["furniture"])
        preposition = self.pick(_WHERE[:3] if noun.en[0] != "shelf" else _WHERE[:1])
        return Phrase(preposition, NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.25)))

    def destination(self, verb: Verb) -> Phrase:
        """Draw the destination of a thing, with the accusative; "lay" takes only "on"."""
        noun = self.pick(GROUPS["furniture"])
        preposition = self.pick(_WHERE_TO[:1] if verb.base == "lay" else _WHERE_TO[2:])
        return Phrase(preposition, NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.25)))

    def near(self, shop: Noun) -> Phrase:
        """Draw the location of a building, such as "next to the station"."""
        noun = self.pick(GROUPS["sight"] + GROUPS["stop"] + GROUPS["service"])
        while noun is shop or noun.en[0] in ("bridge", "office"):
            noun = self.pick(GROUPS["sight"] + GROUPS["stop"] + GROUPS["service"])
        beside = self.pick(_WHERE[2:])
        return Phrase(beside, NounPhrase(noun, THE, Number.SINGULAR, self.adjective(noun, 0.2)))

    def city(self) -> Fixed:
        """Draw a city."""
        return self.pick(CITIES)


HIM_OR_HER = (HE, SHE)
