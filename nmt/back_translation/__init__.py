"""Training on machine translations of monolingual text, in rounds."""

from nmt.back_translation.rounds import BackTranslation, Round

__all__ = ["BackTranslation", "Round"]
