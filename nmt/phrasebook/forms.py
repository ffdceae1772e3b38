"""Regular morphology: German determiners and endings, and parsers of noun, adjective and verb entries."""

from nmt.phrasebook.grammar import NO_TEXT, Adjective, Declension, Determiner, Gender, Noun, Text, Triple, Verb

# Columns: masculine, feminine, neuter, plural. Within a column: nominative, accusative, dative.
_Table = tuple[Triple, Triple, Triple, Triple]
ARTICLE: _Table = (("der", "den", "dem"), ("die", "die", "der"), ("das", "das", "dem"), ("die", "die", "den"))
_DER_WORD: _Table = (("er", "en", "em"), ("e", "e", "er"), ("es", "es", "em"), ("e", "e", "en"))
_EIN_WORD: _Table = (("", "en", "em"), ("e", "e", "er"), ("", "", "em"), ("e", "e", "en"))

# By declension, column and case.
ADJECTIVE_ENDING: tuple[_Table, _Table, _Table] = (
    (("e", "en", "en"), ("e", "e", "en"), ("e", "e", "en"), ("en", "en", "en")),
    (("er", "en", "en"), ("e", "e", "en"), ("es", "es", "en"), ("en", "en", "en")),
    _DER_WORD,
)

HABEN: Triple = ("habe", "hat", "haben")
SEIN: Triple = ("bin", "ist", "sind")
WERDEN: Triple = ("werde", "wird", "werden")

_GENDERS = {"der": Gender.MASCULINE, "die": Gender.FEMININE, "das": Gender.NEUTER}


def _decline(stem: str, endings: _Table, plural: bool = True) -> _Table:
    def column(index: int) -> Triple:
        if index == 3 and not plural:
            return ("", "", "")
        nominative, accusative, dative = endings[index]
        return (stem + nominative, stem + accusative, stem + dative)

    return (column(0), column(1), column(2), column(3))


def der_word(en: str, plural: str, stem: str, asking: bool = False) -> Determiner:
    """Return a determiner that is declined like "dieser"; `plural` is the English plural."""
    forms = _decline(stem, _DER_WORD)
    return Determiner((en, plural), forms, Declension.WEAK, asking=asking)


def ein_word(en: str, stem: str) -> Determiner:
    """Return a determiner that is declined like "mein"."""
    return Determiner((en, en), _decline(stem, _EIN_WORD), Declension.MIXED)


def invariable(en: str, de: str) -> Determiner:
    """Return a numeral, or an empty determiner; the adjective takes the strong endings."""
    column: Triple = (de, de, de)
    return Determiner((en, en), (column, column, column, column), Declension.STRONG, quantity=True)


THE = Determiner(("the", "the"), ARTICLE, Declension.WEAK)
A = Determiner(("a", ""), _decline("ein", _EIN_WORD, plural=False), Declension.MIXED, quantity=True)
BARE = invariable("", "")
KEIN = ein_word("", "kein")  # German only: replaces "ein" and a missing determiner under negation
THIS = der_word("this", "these", "dies")
WHICH = der_word("which", "which", "welch", asking=True)
MY, OUR, YOUR, HIS, HER = (
    ein_word(en, de) for en, de in (("my", "mein"), ("our", "unser"), ("your", "Ihr"), ("his", "sein"), ("her", "ihr"))
)


def english_plural(word: str) -> str:
    """Return the regular plural of a noun, which is also the third person singular of a verb."""
    if word[-1] == "y" and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "sh", "ch", "x")) else "s")


def noun(entry: str, group: str) -> Noun:
    """Parse a noun such as "coat = der Mantel, Mäntel".

    Left: the English singular, followed by "/plural" if that is irregular. Right: article, singular, plural. Without a
    German plural, the noun has no plural in either language; "-" as the singular means plural only. A fourth field
    "weak" marks weak nouns (der Kollege, den Kollegen). Places end in "; at/an", the prepositions of a location.
    """
    entry, _, place = entry.partition("; ")
    at = Text(*place.split("/")) if place else NO_TEXT
    left, right = entry.split(" = ")
    fields = right.split(", ")
    article, singular = fields[0].split(" ", 1)
    plural = fields[1] if len(fields) > 1 else ""
    english, _, irregular = left.partition("/")
    english = "" if english == "-" else english
    english_many = irregular or (english_plural(english) if plural else "")
    oblique = plural if "weak" in fields else singular
    # In a measure ("Glas Wein"), only the first word is declined.
    head, space, rest = plural.partition(" ")
    dative = head if not head or head.endswith(("n", "s")) else head + "n"
    return Noun(
        (english, english_many),
        ((singular, oblique, oblique), (plural, plural, dative + space + rest)),
        _GENDERS[article],
        group,
        at,
    )


def adjective(entry: str) -> Adjective:
    """Parse an adjective such as "expensive = teuer/teur"; the stem is given only if it differs."""
    en, de = entry.split(" = ")
    base, _, stem = de.partition("/")
    return Adjective(en, base, stem or base)


def verb(entry: str) -> Verb:
    """Parse a verb such as "pick+up picked = ab|holen holt abgeholt".

    Left: English base and past. "look_for" is a verb with its preposition; in "pick+up", the particle follows a pronoun
    object. Right: infinitive with "|" after a separable prefix, third person singular, participle, and "sein" if that
    is the auxiliary of the Perfekt.
    """
    left, right = entry.split(" = ")
    base, past = left.split()
    base, _, particle = base.partition("+")
    head, underscore, rest = base.partition("_")
    tail = underscore.replace("_", " ") + rest
    infinitive, third, participle, *auxiliary = right.split()
    prefix, _, bare = infinitive.rpartition("|")
    stem = bare.removesuffix("n").removesuffix("e")
    return Verb(
        base=head + tail,
        present=(head + tail, english_plural(head).replace("gos", "goes") + tail, head + tail),
        past=(past + tail, past + tail, past + tail),
        particle=particle,
        auxiliary=False,
        infinitive=prefix + bare,
        finite=(stem + "e", third, bare),
        participle=participle,
        perfect=SEIN if auxiliary else HABEN,
        prefix=prefix,
    )
