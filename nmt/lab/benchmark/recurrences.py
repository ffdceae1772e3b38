"""Cost of decoders by the length of the target: training, search, and the state that each hypothesis keeps.

Source and target are random ids of one length, so that no corpus is needed. The encoder is the same in all models.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nmt.config import (
    TRANSFORMER,
    AttentionKind,
    GnmtDecoderConfig,
    LengthPenalty,
    ModelConfig,
    OptimConfig,
    Precision,
    RecurrentEncoderConfig,
    SearchConfig,
    TransformerDecoderConfig,
)
from nmt.data import EOS_ID, Batch
from nmt.data.batching import make_batch
from nmt.decoding import SearchRequest, beam_search
from nmt.decoding.hypothesis import SYMBOLS
from nmt.lab.benchmark.decoding import NEVER
from nmt.lab.benchmark.figures import Figures, timed
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.decoders.base import DecoderState
from nmt.models.decoders.transformer import TransformerState
from nmt.training import build_optimizer, cross_entropy
from nmt.training.gradients import accumulate_gradients
from nmt.training.optim import clip_gradients

WIDTH, LAYERS, WORDS = 512, 2, 8000
"""Width of all layers, number of decoder layers, and size of the vocabulary."""
FIRST_WORD = 4
"""First id that is not a special symbol."""
BATCH_TOKENS = 4096
"""Number of target tokens of a training batch, without eos, at every length."""
SEARCH_TOKENS = 2048
"""Number of target tokens that are searched together at every length; longer sentences are searched alone."""
MEASURED_SECONDS = 2.0
"""Time after which no further training step or search at one length is begun in one repetition."""
TRAINING, SEARCH, STATE, SOURCE = "target_tokens_per_second", "sentences_per_second", "state_bytes", "source_bytes"
"""Figures of each decoder at each length. State: what each hypothesis keeps. Source: what the hypotheses of a sentence
share for the attention to the source."""
HEADINGS = {
    TRAINING: "training, target tokens/s",
    SEARCH: "search, sentences/s",
    STATE: "state of a hypothesis, KiB",
    SOURCE: "keys and values of the source, KiB",
}
"""Heading of the table of each figure."""


def decoder_config(decoder: str, width: int = WIDTH, layers: int = LAYERS) -> ModelConfig:
    """Return a model with an LSTM encoder and a decoder with a cell, or the Transformer's, all of one width."""
    model = ModelConfig(embed_size=width, hidden_size=width, encoder=RecurrentEncoderConfig())
    if decoder == TRANSFORMER:
        return replace(model, decoder=TransformerDecoderConfig(layers=layers, feed_forward_size=2 * width))
    return replace(model, decoder=GnmtDecoderConfig(layers=layers, cell=decoder, attention=AttentionKind.general))


class RecurrencesBenchmark:
    """Training and search with several decoders at several lengths."""

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        lengths: Sequence[int],
        beam_size: int,
        bfloat16: bool,
        words: int = WORDS,
        batch_tokens: int = BATCH_TOKENS,
        seed: int = 1,
    ) -> None:
        """Initialise the benchmark.

        Args:
            models: configuration of each model by the name of its decoder.
            lengths: numbers of tokens of source and target, eos not counted.
            beam_size: beam size of search; 1 is greedy.
            bfloat16: train in bfloat16. Search is in float32 in any case, because most cells have no products in int8.
            words: size of the vocabulary.
            batch_tokens: number of target tokens of a training batch.
            seed: seed of weights and ids.
        """
        self.models, self.lengths, self.beam_size, self.bfloat16 = models, lengths, beam_size, bfloat16
        self.words, self.batch_tokens, self.seed = words, batch_tokens, seed
        self.bytes: Figures = {}
        """Figures that do not differ between repetitions, by their names."""

    def repeat(self) -> Figures:
        """Measure each decoder at each length; the names of the figures are DECODER/LENGTH/FIGURE."""
        figures = {}
        for decoder, config in self.models.items():
            torch.manual_seed(self.seed)
            model = build_model(config, Vocabulary(self.words, self.words))
            for length in self.lengths:
                figures[f"{decoder}/{length}/{TRAINING}"] = self.training_speed(model, length)
            model.eval().requires_grad_(False)
            model.output_bias[EOS_ID] = NEVER
            model.prepare_search(Precision.float32)
            for length in self.lengths:
                figures[f"{decoder}/{length}/{SEARCH}"] = self.search_speed(model, length)
                if f"{decoder}/{length}/{STATE}" not in self.bytes:
                    state, source = state_bytes(model, self.batch(1, length))
                    self.bytes |= {f"{decoder}/{length}/{STATE}": state, f"{decoder}/{length}/{SOURCE}": source}
        return figures | self.bytes

    def batch(self, sentences: int, length: int) -> Batch:
        """Return random pairs whose sources and targets have `length` tokens."""
        generator = torch.Generator().manual_seed(self.seed)
        src, tgt = torch.randint(FIRST_WORD, self.words, (2, sentences, length), generator=generator).tolist()
        return make_batch(src, tgt, range(sentences))

    def training_speed(self, model: Seq2Seq, length: int) -> float:
        """Return the target tokens per second of training, eos counted."""
        batch = self.batch(max(1, self.batch_tokens // length), length)
        objective, optimizer = cross_entropy(0.0), build_optimizer(model.train(), OptimConfig())

        def step() -> None:
            accumulate_gradients(model, objective, [batch], self.bfloat16)
            clip_gradients(model, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return batch.tokens * times_per_second(step)

    def search_speed(self, model: Seq2Seq, length: int) -> float:
        """Return the sentences per second of a search whose hypotheses all have `length` tokens."""
        sentences = max(1, SEARCH_TOKENS // length)
        batch = self.batch(sentences, length)
        config = SearchConfig(beam_size=self.beam_size, n_best=1, length_penalty=LengthPenalty.none)
        limits = torch.full((sentences,), length)

        @torch.inference_mode()
        def search() -> None:
            state = model.encode(batch.src, batch.src_mask)
            beam_search(SearchRequest(model.step, state, limits, SYMBOLS, config))

        return sentences * times_per_second(search)


def times_per_second(action: Callable[[], None]) -> float:
    """Return how often an action, which is repeated for `MEASURED_SECONDS` and at least once, runs per second."""
    times, seconds = 0, 0.0
    while times == 0 or seconds < MEASURED_SECONDS:
        seconds += timed(action)
        times += 1
    return times / seconds


@torch.inference_mode()
def state_bytes(model: Seq2Seq, batch: Batch) -> tuple[int, int]:
    """Return the bytes of the state after the targets of a batch, per sentence with one hypothesis.

    Returns:
        The bytes that each hypothesis keeps: the states of a recurrent decoder's layers, or keys and values of the
        Transformer's prefix; and those of the keys, values and mask of the source, which a sentence's hypotheses share.
    """
    state = model.encode(batch.src, batch.src_mask)
    for tokens in batch.tgt_in:
        state = model.step(tokens, state).state
    sentences = batch.src.size(1)
    if isinstance(state, TransformerState):
        kept: Iterable[Tensor] = (tensor for layer in state.past for tensor in layer)
        shared: Iterable[Tensor | None] = (state.mask, *(tensor for layer in state.source for tensor in layer))
    else:
        assert isinstance(state, DecoderState)
        kept = (tensor for layer in state.hidden for tensor in layer)
        shared = (state.keys, state.values, state.mask, state.words)
    return bytes_of(kept) // sentences, bytes_of(shared) // sentences


def bytes_of(tensors: Iterable[Tensor | None]) -> int:
    """Return the number of bytes of the elements of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)
