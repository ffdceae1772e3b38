"""Further translation directions of a multilingual corpus, source factors, and their checks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.text_files import TextFiles

LANGUAGE = re.compile("[A-Za-z0-9@_-]{1,64}")
"""Language codes, which are used as file-name suffixes and in tags."""
CASE = "case"
"""Name of the source factor that is computed."""
MAX_FACTORS = 8


@dataclass
class DirectionConfig:
    """Further translation direction of the corpus, trained in the same model."""

    src_lang: str
    """Language code of the source side."""
    tgt_lang: str
    """Language code of the target side, which the tag of each source line names."""
    train: TextFiles = field(default_factory=TextFiles)
    """Files of the training set; the phrasebook has its own."""
    valid: TextFiles = field(default_factory=TextFiles)
    """Files of the validation set; none: this direction is not validated."""
    test: TextFiles = field(default_factory=TextFiles)
    """Files of the test set."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from language_problems(self)
        if self.src_lang == self.tgt_lang:
            yield "tgt_lang", f"is {self.tgt_lang!r}, as src_lang; give two languages"


def language_problems(config: object) -> Iterator[tuple[str, str]]:
    """Yield a problem for each of `src_lang` and `tgt_lang` that is not a language code."""
    for side in ("src_lang", "tgt_lang"):
        code = getattr(config, side)
        if code is not None and not LANGUAGE.fullmatch(code):
            yield side, f"is {code!r}; allowed: letters, digits, - _ @"


def factor_problems(factors: list[str]) -> Iterator[tuple[str, str]]:
    """Yield problems of the names of the source factors."""
    for name in factors:
        if not re.fullmatch("[a-z][a-z0-9_]{0,31}", name):
            yield "factors", f"has {name!r}; allowed: names of small letters, digits and _, such as case or pos"
    if len(set(factors)) < len(factors):
        yield "factors", f"is {', '.join(factors)}; allowed: each name once"
    if len(factors) > MAX_FACTORS:
        yield "factors", f"has {len(factors)} names; allowed: at most {MAX_FACTORS}"
