"""English names of languages, as clients show them."""

CODES_AND_NAMES = """\
af=Afrikaans,am=Amharic,ar=Arabic,az=Azerbaijani,bam=Bambara,bbj=Ghomala,be=Belarusian,bg=Bulgarian,bn=Bengali,
ca=Catalan,cs=Czech,cy=Welsh,da=Danish,de=German,el=Greek,en=English,eo=Esperanto,es=Spanish,et=Estonian,eu=Basque,
fa=Persian,fi=Finnish,fr=French,ga=Irish,gl=Galician,gu=Gujarati,ha=Hausa,he=Hebrew,hi=Hindi,hr=Croatian,
hu=Hungarian,hy=Armenian,id=Indonesian,is=Icelandic,it=Italian,ja=Japanese,ka=Georgian,kk=Kazakh,km=Khmer,
ko=Korean,lt=Lithuanian,lug=Luganda,lv=Latvian,mk=Macedonian,mr=Marathi,ms=Malay,my=Burmese,nb=Norwegian,ne=Nepali,
nl=Dutch,pa=Punjabi,pcm=Nigerian Pidgin,pl=Polish,ps=Pashto,pt=Portuguese,ro=Romanian,ru=Russian,sk=Slovak,
sl=Slovenian,sq=Albanian,sr=Serbian,sv=Swedish,sw=Swahili,ta=Tamil,te=Telugu,th=Thai,tr=Turkish,twi=Twi,
uk=Ukrainian,ur=Urdu,uz=Uzbek,vi=Vietnamese,yo=Yoruba,zh=Chinese,zu=Zulu"""
NAMES = dict(pair.split("=") for pair in CODES_AND_NAMES.replace("\n", "").split(","))
RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


def language_name(code: str) -> str:
    """Return the English name of a language, or its code."""
    return NAMES.get(code.split("-")[0].lower(), code)


def direction(code: str) -> str:
    """Return the direction of a language's script as HTML names it: ltr or rtl."""
    return "rtl" if code.split("-")[0].lower() in RIGHT_TO_LEFT else "ltr"
