"""Grammar of the phrasebook compared with hand-written tables and sentences."""

import pytest

from nmt.phrasebook import english, german, verbs
from nmt.phrasebook.forms import BARE, MY, OUR, THE, THIS, YOUR, A, adjective, english_plural
from nmt.phrasebook.grammar import (
    Adjective,
    Case,
    Clause,
    Determiner,
    Form,
    NounPhrase,
    Number,
    Phrase,
    Preposition,
    Sentence,
    Subordinate,
    Tense,
    Text,
    Verb,
)
from nmt.phrasebook.lexicon import (
    CITIES,
    CLOCK,
    GENTLEMEN,
    HE,
    IN_CITY,
    IT,
    NUMERALS,
    RELATIVE_PERSON,
    RELATIVE_THING,
    SHE,
    THEY,
    THINGS,
    TO_PLACE,
    WE,
    WHO,
    YOU,
    I,
)
from nmt.phrasebook.nouns import nouns

NEW, EXPENSIVE, DARK = adjective("new = neu"), adjective("expensive = teuer/teur"), adjective("dark = dunkel/dunkl")


def np(name: str, determiner: Determiner = THE, many: bool = False, adj: Adjective | None = None) -> NounPhrase:
    (noun,) = nouns(name)
    return NounPhrase(noun, determiner, Number(many), adj)


def frame_verb(base: str) -> Verb:
    return next(f.verb for f in (*verbs.TRANSITIVE, *verbs.DATIVE, *verbs.PREPOSITIONAL) if f.verb.base == base)


# Masculine, feminine, neuter, plural; nominative, accusative, dative. With "Mantel", "Suppe" and "Hemd".
DECLENSION = {
    "the": "der neue den neuen dem neuen|die neue die neue der neuen|das neue das neue dem neuen"
    "|die neuen die neuen den neuen",
    "this": "dieser neue diesen neuen diesem neuen|diese neue diese neue dieser neuen"
    "|dieses neue dieses neue diesem neuen|diese neuen diese neuen diesen neuen",
    "my": "mein neuer meinen neuen meinem neuen|meine neue meine neue meiner neuen"
    "|mein neues mein neues meinem neuen|meine neuen meine neuen meinen neuen",
    "our": "unser neuer unseren neuen unserem neuen|unsere neue unsere neue unserer neuen"
    "|unser neues unser neues unserem neuen|unsere neuen unsere neuen unseren neuen",
    "": "neuer neuen neuem|neue neue neuer|neues neues neuem|neue neue neuen",
    "two": "||| zwei neue zwei neue zwei neuen",
}
DETERMINERS = {"the": THE, "this": THIS, "my": MY, "our": OUR, "": BARE, "two": NUMERALS[0]}


@pytest.mark.parametrize("name", DECLENSION)
def test_determiners_and_adjectives_follow_the_tables(name: str) -> None:
    for column, line in enumerate(DECLENSION[name].split("|")):
        words = line.split()
        if not words:
            continue
        per_case = len(words) // 3
        phrase = np(("coat", "jacket", "shirt", "coat")[column], DETERMINERS[name], column == 3, NEW)
        for case in Case:
            expected = " ".join(words[case * per_case : (case + 1) * per_case])
            assert german.noun_phrase(phrase, case).rsplit(" ", 1)[0] == expected


def test_indefinite_negation_stems_and_plurals() -> None:
    assert [german.noun_phrase(np("coat", A, adj=EXPENSIVE), case) for case in Case] == [
        "ein teurer Mantel",
        "einen teuren Mantel",
        "einem teuren Mantel",
    ]
    assert german.noun_phrase(np("coat", A, adj=DARK), Case.ACCUSATIVE, negated=True) == "keinen dunklen Mantel"
    assert german.noun_phrase(np("jacket", A), Case.DATIVE) == "einer Jacke"
    assert german.noun_phrase(np("bread", BARE), Case.ACCUSATIVE, negated=True) == "kein Brot"
    assert german.noun_phrase(np("neighbour", MY), Case.DATIVE) == "meinem Nachbarn"
    assert german.noun_phrase(np("doctor", THE, many=True), Case.DATIVE) == "den Ärzten"
    assert german.noun_phrase(np("hotel", THE, many=True), Case.DATIVE) == "den Hotels"
    assert german.noun_phrase(np("cup_of_tea", NUMERALS[0], many=True), Case.DATIVE) == "zwei Tassen Tee"
    assert english.noun_phrase(np("umbrella", A)) == "an umbrella"
    assert english.noun_phrase(np("umbrella", A, adj=NEW)) == "a new umbrella"
    assert [english_plural(w) for w in ("bus", "baby", "boy", "church", "fax")] == [
        "buses",
        "babies",
        "boys",
        "churches",
        "faxes",
    ]


@pytest.mark.parametrize(
    ("preposition", "case", "noun", "expected"),
    [
        ("in", Case.DATIVE, "hotel", "im Hotel"),
        ("in", Case.ACCUSATIVE, "cinema", "ins Kino"),
        ("in", Case.ACCUSATIVE, "church", "in die Kirche"),
        ("an", Case.DATIVE, "station", "am Bahnhof"),
        ("zu", Case.DATIVE, "bank", "zur Bank"),
        ("zu", Case.DATIVE, "museum", "zum Museum"),
        ("auf", Case.DATIVE, "market", "auf dem Markt"),
        ("auf", Case.ACCUSATIVE, "table", "auf den Tisch"),
    ],
)
def test_prepositions_contract(preposition: str, case: Case, noun: str, expected: str) -> None:
    assert german.prepositional(Phrase(Preposition("", preposition, case), np(noun))) == expected


CONJUGATION = {  # present of ich, er, wir; participle with auxiliary
    "buy": "kaufe kauft kaufen habe gekauft",
    "eat": "esse isst essen habe gegessen",
    "read": "lese liest lesen habe gelesen",
    "see": "sehe sieht sehen habe gesehen",
    "take": "nehme nimmt nehmen habe genommen",
    "help": "helfe hilft helfen habe geholfen",
    "give": "gebe gibt geben habe gegeben",
    "meet": "treffe trifft treffen habe getroffen",
    "forget": "vergesse vergisst vergessen habe vergessen",
    "repair": "repariere repariert reparieren habe repariert",
    "go": "gehe geht gehen bin gegangen",
    "drive": "fahre fährt fahren bin gefahren",
    "answer": "antworte antwortet antworten habe geantwortet",
}


@pytest.mark.parametrize("base", CONJUGATION)
def test_verbs_are_conjugated(base: str) -> None:
    *present, auxiliary, participle = CONJUGATION[base].split()
    for subject, form in zip((I, HE, WE), present, strict=True):
        statement = german.sentence(Sentence(Clause(subject, frame_verb(base)), Form.STATEMENT))
        assert statement == f"{subject.de[0].capitalize()} {form}."
    past = german.sentence(Sentence(Clause(I, frame_verb(base), Tense.PAST), Form.STATEMENT))
    assert past == f"Ich {auxiliary} {participle}."


YESTERDAY, TOMORROW = Text("yesterday", "gestern"), Text("tomorrow", "morgen")
BECAUSE, THAT, IF = Text("because", "weil"), Text("that", "dass"), Text("if", "wenn")
BUY, CALL, PICK_UP, OPEN = (frame_verb(base) for base in ("buy", "call", "pick", "open"))


def relative_example() -> NounPhrase:
    doctor = np("doctor")
    doctor.relative = Clause(RELATIVE_PERSON[0], frame_verb("help"), Tense.PAST, indirect=np("mother", MY))
    return doctor


def coat_bought() -> NounPhrase:
    coat = np("coat")
    coat.relative = Clause(SHE, BUY, Tense.PAST, direct=RELATIVE_THING[0])
    return coat


S, Q, R = Form.STATEMENT, Form.QUESTION, Form.REQUEST
BE, PRESENT, PAST, FUTURE = verbs.BE, Tense.PRESENT, Tense.PAST, Tense.FUTURE
TIRED = Text("tired", "müde")
KNOWN: list[tuple[Sentence, str, str]] = [
    (Sentence(Clause(I, BE, predicate=TIRED), S), "I am tired.", "Ich bin müde."),
    (
        Sentence(Clause(WE, BUY, PAST, direct=np("coat", A), time=YESTERDAY, time_first=True), S),
        "Yesterday we bought a coat.",
        "Gestern haben wir einen Mantel gekauft.",
    ),
    (
        Sentence(Clause(HE, BUY, PAST, negated=True, direct=np("coat", A, adj=NEW)), S),
        "He did not buy a new coat.",
        "Er hat keinen neuen Mantel gekauft.",
    ),
    (
        Sentence(Clause(HE, BUY, PAST, negated=True, direct=np("coat")), S),
        "He did not buy the coat.",
        "Er hat den Mantel nicht gekauft.",
    ),
    (
        Sentence(Clause(np("train"), verbs.ARRIVE, time=CLOCK[2]), S),
        "The train arrives at half past one.",
        "Der Zug kommt um halb zwei an.",
    ),
    (
        Sentence(Clause(I, verbs.THINK, subordinate=Subordinate(THAT, Clause(np("bus"), verbs.ARRIVE))), S),
        "I think that the bus arrives.",
        "Ich denke, dass der Bus ankommt.",
    ),
    (
        Sentence(Clause(YOU, CALL, PRESENT, verbs.COULD, direct=np("doctor")), Q, polite=True),
        "Could you please call the doctor?",
        "Könnten Sie bitte den Arzt anrufen?",
    ),
    (Sentence(Clause(YOU, OPEN, direct=np("door")), R), "Please open the door.", "Bitte machen Sie die Tür auf."),
    (
        Sentence(Clause(YOU, verbs.BRING, indirect=WE, direct=np("bill")), R),
        "Please bring us the bill.",
        "Bitte bringen Sie uns die Rechnung.",
    ),
    (Sentence(Clause(I, PICK_UP, FUTURE, direct=HE), S), "I will pick him up.", "Ich werde ihn abholen."),
    (
        Sentence(Clause(WHO, CALL, PAST, direct=GENTLEMEN[0]), Q),
        "Who called Mr Weber?",
        "Wer hat Herrn Weber angerufen?",
    ),
    (
        Sentence(Clause(np("sister", YOUR), verbs.GO, PAST, question_word=Text("when", "wann")), Q),
        "When did your sister go?",
        "Wann ist Ihre Schwester gegangen?",
    ),
    (
        Sentence(Clause(relative_example(), verbs.LIVE, phrase=Phrase(IN_CITY, CITIES[0])), S),
        "The doctor who helped my mother lives in Berlin.",
        "Der Arzt, der meiner Mutter geholfen hat, wohnt in Berlin.",
    ),
    (
        Sentence(Clause(I, frame_verb("try"), PAST, direct=coat_bought()), S),
        "I tried on the coat that she bought.",
        "Ich habe den Mantel anprobiert, den sie gekauft hat.",
    ),
    (
        Sentence(
            Clause(I, verbs.BELIEVE, subordinate=Subordinate(THAT, Clause(relative_example(), BE, predicate=TIRED))), S
        ),
        "I believe that the doctor who helped my mother is tired.",
        "Ich glaube, dass der Arzt, der meiner Mutter geholfen hat, müde ist.",
    ),
    (
        Sentence(
            Clause(
                WE,
                verbs.GO,
                FUTURE,
                phrase=Phrase(TO_PLACE, np("castle")),
                subordinate=Subordinate(IF, Clause(IT, verbs.SNOW), leading=True),
            ),
            S,
        ),
        "If it snows, we will go to the castle.",
        "Wenn es schneit, werden wir zum Schloss gehen.",
    ),
    (
        Sentence(
            Clause(
                I,
                BUY,
                PAST,
                direct=np("jacket", THIS),
                subordinate=Subordinate(BECAUSE, Clause(THINGS[1], BE, PAST, predicate=Text("warm", "warm"))),
            ),
            S,
        ),
        "I bought this jacket because it was warm.",
        "Ich habe diese Jacke gekauft, weil sie warm war.",
    ),
    (
        Sentence(
            Clause(
                HE,
                verbs.FORGET,
                PAST,
                subordinate=Subordinate(Text("", ""), Clause(HE, OPEN, direct=np("window")), Form.INFINITIVE),
            ),
            S,
        ),
        "He forgot to open the window.",
        "Er hat vergessen, das Fenster aufzumachen.",
    ),
    (
        Sentence(Clause(THEY, BUY, PAST, verbs.HAVE_TO, negated=True, direct=np("shoes", many=True)), S),
        "They did not have to buy the shoes.",
        "Sie mussten die Schuhe nicht kaufen.",
    ),
    (
        Sentence(Clause(np("foot", MY, many=True), verbs.HURT), S),
        "My feet hurt.",
        "Meine Füße tun weh.",
    ),
]


@pytest.mark.parametrize(("sentence", "en", "de"), KNOWN, ids=[known[1] for known in KNOWN])
def test_known_sentences(sentence: Sentence, en: str, de: str) -> None:
    assert (english.sentence(sentence), german.sentence(sentence)) == (en, de)
