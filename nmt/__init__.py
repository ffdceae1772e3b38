"""Recurrent neural machine translation for research: LSTM encoder-decoders, attention, beam search."""

__version__ = "0.1.0"
