"""Model that the server translates with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nmt.config import SearchConfig, from_hydra
from nmt.decoding import ConstraintBuilder, LineTranslator
from nmt.documents.plain import writes_text

if TYPE_CHECKING:  # exported models are served without torch
    from nmt.evaluation.calibration import Calibration


@dataclass(frozen=True, eq=False)
class Model:
    """Translator with its languages."""

    translator: LineTranslator
    builder: ConstraintBuilder
    name: str
    src: str
    """Language code of the source."""
    tgt: str
    """Language code of the target."""
    attends: bool
    """True if the model has attention."""
    writes: Callable[[str], bool]
    """Function that checks if the vocabularies can read and write a text."""
    calibration: Calibration | None = None
    """Calibration of the confidence of words, if the run has one."""

    @classmethod
    def of(
        cls, translator: LineTranslator, name: str, src: str, tgt: str, calibration: Calibration | None = None
    ) -> Model:
        """Return a model for the server.

        Args:
            translator: model, tokenizers and search settings.
            name: name for people.
            src: language code of the source, as `en` or `pt_BR`.
            tgt: language code of the target.
            calibration: calibration of the confidence of words.
        """
        translator.prepare()
        builder = ConstraintBuilder(translator.tgt)
        attends = translator.attends
        codes = src.replace("_", "-"), tgt.replace("_", "-")
        return cls(translator, builder, name, *codes, attends, writes_text(translator), calibration)

    def with_search(self, search: SearchConfig) -> LineTranslator:
        """Return a translator with these search settings; the model is shared."""
        translator = copy.copy(self.translator)
        translator.config = search
        return translator

    def search(self, settings: dict[str, Any]) -> SearchConfig:
        """Return the search settings of the run with some of them replaced.

        Raises:
            UserError: a value is not allowed.
        """
        return from_hydra(SearchConfig, asdict(self.translator.config), settings, prefix="search.")
