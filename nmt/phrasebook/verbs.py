"""Verbs and their frames, which list suitable objects, places and tenses."""

from dataclasses import dataclass
from enum import Enum

from nmt.phrasebook.forms import HABEN, SEIN, verb
from nmt.phrasebook.grammar import Case, Noun, Preposition, Triple, Verb
from nmt.phrasebook.lexicon import INTO, TO_PLACE, WITH
from nmt.phrasebook.nouns import nouns

_BE_NOW: Triple = ("am", "is", "are")
_BE_THEN: Triple = ("was", "was", "were")


def _irregular(
    en: str,
    present: Triple,
    past: Triple,
    infinitive: str,
    finite: Triple,
    preterite: Triple | None = None,
    auxiliary: bool = False,
) -> Verb:
    """Return a verb with irregular present forms in both languages and an optional German Präteritum."""
    return Verb(en, present, past, "", auxiliary, infinitive, finite, "", HABEN, preterite=preterite)


_HATTE: Triple = ("hatte", "hatte", "hatten")
_HAVE: Triple = ("have", "has", "have")
_HAD: Triple = ("had", "had", "had")
_WOULD_LIKE: Triple = ("would like", "would like", "would like")
BE = _irregular("be", _BE_NOW, _BE_THEN, "sein", SEIN, ("war", "war", "waren"), auxiliary=True)
HAVE = _irregular("have", _HAVE, _HAD, "haben", HABEN, _HATTE)
BE_LATE = _irregular("be", _BE_NOW, _BE_THEN, "haben", HABEN, _HATTE, auxiliary=True)
THERE_BE = _irregular("be", _BE_NOW, _BE_THEN, "geben", ("", "gibt", ""), ("", "gab", ""), auxiliary=True)
KNOW = _irregular("know", ("know", "knows", "know"), ("knew", "knew", "knew"), "wissen", ("weiß", "weiß", "wissen"))
LIKE = _irregular("like", ("like", "likes", "like"), ("liked", "liked", "liked"), "mögen", ("mag", "mag", "mögen"))
WOULD_LIKE_SOME = _irregular(
    "would like", _WOULD_LIKE, _WOULD_LIKE, "haben", ("hätte", "hätte", "hätten"), auxiliary=True
)


def _modal(en: str, infinitive: str, finite: Triple) -> Verb:
    return _irregular(en, (en, en, en), (en, en, en), infinitive, finite, auxiliary=True)


CAN = _modal("can", "können", ("kann", "kann", "können"))
COULD = _modal("could", "können", ("könnte", "könnte", "könnten"))
SHOULD = _modal("should", "sollen", ("sollte", "sollte", "sollten"))
MAY = _modal("may", "dürfen", ("darf", "darf", "dürfen"))
WOULD_LIKE = _modal("would like", "mögen", ("möchte", "möchte", "möchten"))
WANT = _irregular(
    "want",
    ("want", "wants", "want"),
    ("wanted", "wanted", "wanted"),
    "wollen",
    ("will", "will", "wollen"),
    ("wollte", "wollte", "wollten"),
)
HAVE_TO = _irregular("have", _HAVE, _HAD, "müssen", ("muss", "muss", "müssen"), ("musste", "musste", "mussten"))

ARRIVE = verb("arrive arrived = an|kommen kommt angekommen sein")
DEPART = verb("leave left = ab|fahren fährt abgefahren sein")
RAIN = verb("rain rained = regnen regnet geregnet")
SNOW = verb("snow snowed = schneien schneit geschneit")
COST = verb("cost cost = kosten kostet gekostet")
HURT = verb("hurt hurt = weh|tun tut wehgetan")
GET_TO = verb("get got = kommen kommt gekommen sein")
BRING = verb("bring brought = bringen bringt gebracht")
GIVE = verb("give gave = geben gibt gegeben")
SHOW = verb("show showed = zeigen zeigt gezeigt")
WAIT = verb("wait waited = warten wartet gewartet")
TELL = verb("tell told = sagen sagt gesagt")
NEED = verb("need needed = brauchen braucht gebraucht")
LEAVE = verb("leave left = verlassen verlässt verlassen")
WORK = verb("work worked = arbeiten arbeitet gearbeitet")
THINK = verb("think thought = denken denkt gedacht")
BELIEVE = verb("believe believed = glauben glaubt geglaubt")
SAY = verb("say said = sagen sagt gesagt")
HOPE = verb("hope hoped = hoffen hofft gehofft")
ASK = verb("ask asked = fragen fragt gefragt")
TRY = verb("try tried = versuchen versucht versucht")
FORGET = verb("forget forgot = vergessen vergisst vergessen")
DECIDE = verb("decide decided = beschließen beschließt beschlossen")
GO = verb("go went = gehen geht gegangen sein")
DRIVE = verb("drive drove = fahren fährt gefahren sein")
TRAVEL = verb("travel travelled = reisen reist gereist sein")
FLY = verb("fly flew = fliegen fliegt geflogen sein")
LIVE = verb("live lived = wohnen wohnt gewohnt")


class Aspect(Enum):
    """Aspect, which determines the tenses: "we need", but "we bought", "we buy every day", "we will buy"."""

    ACTION = "action"
    STATE = "state"
    MISHAP = "mishap"  # unintended, such as losing a key: only in the past


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Verb with its possible objects and places."""

    verb: Verb
    direct: tuple[Noun, ...] = ()  # accusative objects
    indirect: bool = False  # a person in the dative
    preposition: Preposition | None = None  # preposition of an obligatory phrase
    targets: tuple[Noun, ...] = ()  # nouns of that phrase
    places: tuple[Noun, ...] = ()  # possible places of the action
    aspect: Aspect = Aspect.ACTION
    wanted: bool = False  # a good object is a reason to do it, a bad object a reason not to
    request: bool = False  # can be requested of a stranger
    habit: bool = False  # can be done every day


_PEOPLE = "family people"
_THINGS = "clothes luggage gear gift reading wheels"
_WORN = "coat shirt jacket hat sweater shoes"
_FOOD = "food foodstuff"


def _frame(entry: str, objects: str, places: str = "", *flags: str, indirect: bool = False) -> Frame:
    return Frame(
        verb(entry),
        nouns(objects),
        indirect,
        places=nouns(places),
        aspect=next((aspect for aspect in Aspect if aspect.value in flags), Aspect.ACTION),
        wanted="wanted" in flags,
        request="request" in flags,
        habit="habit" in flags,
    )


_BUY = "buy bought = kaufen kauft gekauft"
_SELL = "sell sold = verkaufen verkauft verkauft"
_PUT = "put put = stellen stellt gestellt"
_LAY = "lay laid = legen legt gelegt"

# Frames whose direct object may carry a relative clause.
TRANSITIVE: tuple[Frame, ...] = (
    _frame(_BUY, "clothes luggage gear", "department_store market", "wanted"),
    _frame(_BUY, _FOOD, "supermarket market", "wanted", "habit"),
    _frame(_BUY, "bread cake bread_roll", "bakery", "wanted", "habit"),
    _frame(_BUY, "reading", "bookshop station", "wanted", "habit"),
    _frame(_BUY, "gift wheels ticket", "", "wanted"),
    _frame(_SELL, "wheels gift clothes", ""),
    _frame("eat ate = essen isst gegessen", "food foodstuff", "garden kitchen venue", "wanted", "habit"),
    _frame("drink drank = trinken trinkt getrunken", "drink measure", "garden kitchen café", "wanted", "habit"),
    _frame(
        "order ordered = bestellen bestellt bestellt",
        "food measure soup fish",
        "restaurant café",
        "wanted",
        "habit",
    ),
    _frame("cook cooked = kochen kocht gekocht", "soup egg fish rice", "kitchen", "habit"),
    _frame("read read = lesen liest gelesen", "reading writing", "library garden café park", "wanted", "habit"),
    _frame("write wrote = schreiben schreibt geschrieben", "writing", "office library", "habit"),
    _frame("see saw = sehen sieht gesehen", _PEOPLE, "venue sight stop market", "mishap"),
    _frame("see saw = sehen sieht gesehen", "sight", "", "mishap"),
    _frame("look_for looked = suchen sucht gesucht", "luggage gear small reading service sight"),
    _frame("find found = finden findet gefunden", "luggage gear small", "venue stop beach park", "mishap"),
    _frame("lose lost = verlieren verliert verloren", "small luggage gear", "stop sight market", "mishap"),
    _frame(
        "forget forgot = vergessen vergisst vergessen",
        "small luggage gear reading",
        "venue lodging",
        "mishap",
    ),
    _frame("visit visited = besuchen besucht besucht", "sight", "", "wanted"),
    _frame("visit visited = besuchen besucht besucht", "family", "", "habit"),
    _frame("call called = an|rufen ruft angerufen", _PEOPLE, "", "request", "habit"),
    _frame("meet met = treffen trifft getroffen", _PEOPLE, "venue stop park", "habit"),
    _frame("invite invited = ein|laden lädt eingeladen", _PEOPLE),
    _frame("pick+up picked = ab|holen holt abgeholt", _PEOPLE, "stop", "habit"),
    _frame("pick+up picked = ab|holen holt abgeholt", "luggage", "stop", "request"),
    _frame("open opened = auf|machen macht aufgemacht", "opening suitcase bag", "", "request"),
    _frame("close closed = zu|machen macht zugemacht", "opening suitcase bag", "", "request"),
    _frame("clean cleaned = putzen putzt geputzt", "opening lodging kitchen shoes", "", "request", "habit"),
    _frame("repair repaired = reparieren repariert repariert", "wheels camera watch lamp", "", "request"),
    _frame("rent rented = mieten mietet gemietet", "wheels apartment", "", "wanted"),
    _frame("reserve reserved = reservieren reserviert reserviert", "lodging", "", "wanted", "request"),
    _frame("take took = nehmen nimmt genommen", "vehicle transit", "", "habit"),
    _frame("miss missed = verpassen verpasst verpasst", "vehicle", "", "mishap"),
    _frame("pay paid = bezahlen bezahlt bezahlt", "bill"),
    Frame(NEED, nouns(f"{_THINGS} small lodging foodstuff"), aspect=Aspect.STATE),
    _frame("know knew = kennen kennt gekannt", f"{_PEOPLE} sight venue", "", "state"),
    _frame("carry carried = tragen trägt getragen", "luggage", "", "request"),
    _frame("pack packed = ein|packen packt eingepackt", "clothes reading gift", "", "request"),
    _frame("try+on tried = an|probieren probiert anprobiert", _WORN, "department_store", "wanted"),
    _frame("put+on put = an|ziehen zieht angezogen", _WORN),
    _frame("photograph photographed = fotografieren fotografiert fotografiert", "sight"),
    _frame("use used = benutzen benutzt benutzt", "wheels city_map camera"),
    Frame(LEAVE, nouns("hotel restaurant museum library")),
    Frame(LIKE, nouns("food foodstuff drink sight gift clothes venue"), aspect=Aspect.STATE),
    Frame(HAVE, nouns("wheels luggage gear small reading lodging"), aspect=Aspect.STATE),
)

# Frames with a person in the dative.
DATIVE: tuple[Frame, ...] = (
    Frame(BRING, nouns("measure food menu bill soup"), indirect=True, request=True),
    Frame(GIVE, nouns("gift reading small menu"), indirect=True, request=True),
    Frame(SHOW, nouns("lodging menu city_map clothes"), indirect=True, request=True),
    _frame("send sent = schicken schickt geschickt", "writing gift", indirect=True),
    _frame("lend lent = leihen leiht geliehen", "wheels reading umbrella camera", indirect=True),
    _frame("recommend recommended = empfehlen empfiehlt empfohlen", "sight venue", indirect=True),
    _frame("help helped = helfen hilft geholfen", "", "stop kitchen garden", "habit", indirect=True),
    _frame("thank thanked = danken dankt gedankt", "", indirect=True),
    _frame("answer answered = antworten antwortet geantwortet", "", indirect=True),
    _frame("congratulate congratulated = gratulieren gratuliert gratuliert", "", indirect=True),
)

_WAIT_FOR = Preposition("for", "auf", Case.ACCUSATIVE)
_TALK_TO = Preposition("to", "mit", Case.DATIVE)
_TALK = verb("talk talked = sprechen spricht gesprochen")

# Frames with a prepositional object or a direction.
PREPOSITIONAL: tuple[Frame, ...] = (
    Frame(WAIT, preposition=_WAIT_FOR, targets=nouns("vehicle transit family people")),
    Frame(_TALK, preposition=_TALK_TO, targets=nouns(_PEOPLE), habit=True),
    Frame(GO, preposition=TO_PLACE, targets=nouns("service sight shop bus_stop doctor dentist"), habit=True),
    Frame(GO, preposition=INTO, targets=nouns("garden kitchen park museum cinema theatre church"), habit=True),
    Frame(DRIVE, preposition=TO_PLACE, targets=nouns("stop hospital beach castle office"), habit=True),
    Frame(verb("dance danced = tanzen tanzt getanzt"), preposition=WITH, targets=nouns(_PEOPLE)),
)
# Frames of putting something somewhere, with the accusative after a two-way preposition.
PLACING: tuple[Frame, ...] = (
    Frame(verb(_PUT), nouns("luggage lamp"), targets=nouns("furniture"), request=True),
    Frame(verb(_LAY), nouns("reading writing small"), targets=nouns("table bed shelf sofa"), request=True),
)
# Frames with an obligatory place.
LOCATED: tuple[Frame, ...] = (
    Frame(WORK, targets=nouns("service shop venue"), aspect=Aspect.STATE),
    Frame(WAIT, targets=nouns("stop venue"), habit=True),
    Frame(verb("sleep slept = schlafen schläft geschlafen"), targets=nouns("hotel lodging garden")),
    Frame(verb("stay stayed = bleiben bleibt geblieben sein"), targets=nouns("hotel village hospital office")),
    Frame(verb("get+off got = aus|steigen steigt ausgestiegen sein"), targets=nouns("bus_stop station harbour")),
    Frame(ARRIVE, targets=nouns("stop hotel")),
)
TO_CITIES: tuple[Verb, ...] = (TRAVEL, FLY, DRIVE)
