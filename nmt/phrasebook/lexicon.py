"""Adjectives by semantic group, pronouns, times, prices and places."""

from nmt.phrasebook.forms import adjective, invariable
from nmt.phrasebook.grammar import Adjective, Case, Fixed, Number, Person, Preposition, Text, slot_of


def _adjectives(table: str) -> tuple[Adjective, ...]:
    return tuple(_KNOWN[name] for name in table.split())


_ADJECTIVES = (
    "good = gut,new = neu,old = alt,big = groß,small = klein,cheap = billig,expensive = teuer/teur,"
    "beautiful = schön,warm = warm,cold = kalt,practical = praktisch,elegant = elegant,"
    "heavy = schwer,red = rot,blue = blau,green = grün,black = schwarz,white = weiß,brown = braun,"
    "fresh = frisch,tasty = lecker,interesting = interessant,famous = berühmt,boring = langweilig,"
    "quiet = ruhig,clean = sauber,dirty = schmutzig,loud = laut,modern = modern,"
    "friendly = freundlich,young = jung,next = nächste/nächst,last = letzte/letzt,first = erste/erst,"
    "comfortable = bequem,fast = schnell,slow = langsam,left = linke/link,right = rechte/recht,"
    "long = lang,dark = dunkel/dunkl,important = wichtig,polite = höflich,light = leicht,"
    "bright = hell"
)
_KNOWN = {entry.split(" = ")[0]: adjective(entry) for entry in _ADJECTIVES.split(",")}

# By group: positive, negative and neutral adjectives.
_JUDGEMENTS = {
    "people": ("friendly polite", "", "young old"),
    "food": ("fresh tasty good", "expensive old", "big small"),
    "foodstuff": ("fresh tasty cheap", "expensive old", ""),
    "drink": ("good cheap", "expensive", "cold"),
    "clothes": (
        "cheap beautiful warm elegant",
        "expensive small big",
        "red blue green black white brown new",
    ),
    "luggage": ("cheap practical light", "expensive heavy", "red blue green black brown new heavy expensive"),
    "gear": ("cheap practical", "expensive", "black new old"),
    "small": ("", "", "new old"),
    "reading": ("interesting good cheap", "expensive boring", "new old expensive"),
    "writing": ("interesting", "long", "important"),
    "gift": ("beautiful cheap practical", "expensive", "new small expensive"),
    "wheels": (
        "cheap fast comfortable",
        "expensive slow old",
        "red blue green black white new old expensive",
    ),
    "vehicle": ("", "", "next last first"),
    "lodging": ("quiet clean bright cheap", "expensive loud dark dirty", "big small"),
    "furniture": ("", "", "old new small big"),
    "sight": ("beautiful famous interesting", "small boring", "old new"),
    "venue": ("quiet cheap clean good", "expensive loud dirty", "big small new expensive"),
    "service": ("modern", "", "new old big small"),
    "shop": ("cheap modern", "expensive", "new old big small"),
    "stop": ("modern", "", "new old"),
    "body": ("", "", ""),
}
GOOD = {group: _adjectives(table[0]) for group, table in _JUDGEMENTS.items()}
BAD = {group: _adjectives(table[1]) for group, table in _JUDGEMENTS.items()}
ADJECTIVES = {group: _adjectives(table[0] + " " + table[2]) for group, table in _JUDGEMENTS.items()}
SIDES = _adjectives("left right")


def _pronoun(person: Person, number: Number, en: str, de: str) -> Fixed:
    slot = slot_of(person, number)
    nominative, accusative, dative = de.split()
    subject, other = en.split()
    return Fixed((subject, other), (nominative, accusative, dative), slot, slot)


_ONE, _MANY = Number.SINGULAR, Number.PLURAL
I = _pronoun(Person.FIRST, _ONE, "I me", "ich mich mir")  # noqa: E741
WE = _pronoun(Person.FIRST, _MANY, "we us", "wir uns uns")
YOU = _pronoun(Person.SECOND, _MANY, "you you", "Sie Sie Ihnen")
HE = _pronoun(Person.THIRD, _ONE, "he him", "er ihn ihm")
SHE = _pronoun(Person.THIRD, _ONE, "she her", "sie sie ihr")
IT = _pronoun(Person.THIRD, _ONE, "it it", "es es ihm")
THEY = _pronoun(Person.THIRD, _MANY, "they them", "sie sie ihnen")
# "it" for a thing, by the gender of the German noun
THINGS = (
    _pronoun(Person.THIRD, _ONE, "it it", "er ihn ihm"),
    _pronoun(Person.THIRD, _ONE, "it it", "sie sie ihr"),
    IT,
)
# "There is" agrees with the noun that follows, "es gibt" does not.
THERE = (Fixed(("there", ""), ("es", "", ""), 1, 1), Fixed(("there", ""), ("es", "", ""), 2, 1))
WHO = Fixed(("who", "who"), ("wer", "wen", "wem"), 1, 1, front=True)
WHAT = Fixed(("what", "what"), ("was", "was", ""), 1, 1, front=True)

_RELATIVE = (("der", "den", "dem"), ("die", "die", "der"), ("das", "das", "dem"), ("die", "die", "denen"))


def _relatives(subject: str, other: str) -> tuple[Fixed, ...]:
    return tuple(
        Fixed((subject, other), forms, 2 if column == 3 else 1, 2 if column == 3 else 1, front=True)
        for column, forms in enumerate(_RELATIVE)
    )


# By column: the three genders, then plural.
RELATIVE_PERSON, RELATIVE_THING, RELATIVE_PLACE = (
    _relatives(*words.split()) for words in ("who that", "that that", "which which")
)


def _texts(table: str) -> tuple[Text, ...]:
    """Parse a table such as "yesterday = gestern,today = heute"."""
    return tuple(Text(*entry.split(" = ")) for entry in table.split(","))


_HOURS = ("ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")
_ENGLISH_HOURS = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_WEEKDAYS = (
    "Monday = Montag,Tuesday = Dienstag,Wednesday = Mittwoch,Thursday = Donnerstag,"
    "Friday = Freitag,Saturday = Samstag,Sunday = Sonntag"
)


def _clock() -> tuple[Text, ...]:
    times: list[Text] = []
    for index, (en, de) in enumerate(zip(_ENGLISH_HOURS, _HOURS, strict=True)):
        following = _HOURS[(index + 1) % 12]
        named, following = ("eins" if hour == "ein" else hour for hour in (de, following))
        times += [
            Text(f"at {en} o'clock", f"um {de} Uhr"),
            Text(f"at quarter past {en}", f"um Viertel nach {named}"),
            Text(f"at half past {en}", f"um halb {following}"),
            Text(f"at quarter to {en}", f"um Viertel vor {named}"),
        ]
    return tuple(times)


CLOCK = _clock()
_ON_DAYS = tuple(Text("on " + en, "am " + de) for en, de in _texts(_WEEKDAYS))
_DAYS = _texts("tomorrow = morgen,today = heute") + _ON_DAYS
APPOINTMENTS = tuple(Text(f"{day.en} {at.en}", f"{day.de} {at.de}") for day in _DAYS for at in CLOCK)
PAST_TIMES = _ON_DAYS + _texts(
    "yesterday = gestern,last week = letzte Woche,"
    "yesterday evening = gestern Abend,this morning = heute Morgen,two days ago = vor zwei Tagen,"
    "a week ago = vor einer Woche,an hour ago = vor einer Stunde,three days ago = vor drei Tagen"
)
LONG_AGO = _texts(
    "last month = letzten Monat,last year = letztes Jahr,a year ago = vor einem Jahr,"
    "a month ago = vor einem Monat,three weeks ago = vor drei Wochen,two years ago = vor zwei Jahren"
)
FUTURE_TIMES = _DAYS + _texts(
    "tomorrow morning = morgen früh,tomorrow evening = morgen Abend,this evening = heute Abend,"
    "next week = nächste Woche,this afternoon = heute Nachmittag,in an hour = in einer Stunde,"
    "the day after tomorrow = übermorgen,next month = nächsten Monat,in two days = in zwei Tagen"
)
HABITS = _texts(
    "every day = jeden Tag,every morning = jeden Morgen,every evening = jeden Abend,every week = jede Woche,"
    "at the weekend = am Wochenende,in the morning = am Morgen,in the evening = am Abend"
) + tuple(Text(f"on {en}s", f"{de.lower()}s") for en, de in _texts(_WEEKDAYS))
FREQUENCIES = _texts("often = oft,always = immer,never = nie,sometimes = manchmal,usually = meistens,rarely = selten")

_TENS = (("twenty", "zwanzig"), ("thirty", "dreißig"), ("forty", "vierzig"), ("fifty", "fünfzig"))
_MORE_TENS = (("sixty", "sechzig"), ("seventy", "siebzig"), ("eighty", "achtzig"), ("ninety", "neunzig"))
_AMOUNTS = tuple(zip(_ENGLISH_HOURS, _HOURS, strict=True))[1:] + tuple(
    (f"{en}-{one}" if one else en, f"{eins}und{de}" if one else de)
    for en, de in _TENS + _MORE_TENS
    for one, eins in (("", ""), *zip(_ENGLISH_HOURS[:9], _HOURS[:9], strict=True))
)
PRICES = tuple(Text(en + " euros", de + " Euro") for en, de in _AMOUNTS)
NUMERALS = tuple(invariable(en, de) for en, de in zip(_ENGLISH_HOURS[1:10], _HOURS[1:10], strict=True))


def _name(en: str, de: str, accusative: str = "") -> Fixed:
    other = accusative or de
    return Fixed((en, en), (de, other, other), 1, 1, light=False)


CITIES = tuple(
    _name(*pair)
    for pair in _texts(
        "Berlin = Berlin,Hamburg = Hamburg,Munich = München,Cologne = Köln,Vienna = Wien,"
        "Zurich = Zürich,Dresden = Dresden,Frankfurt = Frankfurt,Leipzig = Leipzig"
    )
)
_SURNAMES = ("Weber", "Braun", "Schneider", "Fischer", "Keller", "Hoffmann")
GENTLEMEN = tuple(_name("Mr " + name, "Herr " + name, "Herrn " + name) for name in _SURNAMES)
LADIES = tuple(_name("Mrs " + name, "Frau " + name) for name in _SURNAMES)

TO_PLACE = Preposition("to", "zu", Case.DATIVE)
INTO = Preposition("into", "in", Case.ACCUSATIVE)
TO_CITY = Preposition("to", "nach", Case.DATIVE)
IN_CITY = Preposition("in", "in", Case.DATIVE)
FROM = Preposition("from", "aus", Case.DATIVE)
WITH = Preposition("with", "mit", Case.DATIVE)
FOR = Preposition("for", "für", Case.ACCUSATIVE)
# Two-way prepositions: the dative expresses a location, the accusative a direction.
TWO_WAY = _texts("on = auf,under = unter,next to = neben,behind = hinter,in front of = vor")
