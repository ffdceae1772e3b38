"""Configuration of the decoder: `model.decoder.*`."""

from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.registry import Registry
from nmt.config.side import ConvolutionalSide, Problems, RecurrentSide, SideConfig, TransformerSide, heads_problems


class BridgeKind(StrEnum):
    """Initial states of the recurrent decoder."""

    learned = "learned"
    zero = "zero"


class AttentionKind(StrEnum):
    """Attention mechanisms of the recurrent decoder."""

    additive = "additive"
    dot = "dot"
    scaled_dot = "scaled_dot"
    general = "general"
    location = "location"
    local_m = "local_m"
    local_p = "local_p"
    multi_head_additive = "multi_head_additive"
    multi_head_dot = "multi_head_dot"
    coverage = "coverage"


ATTENTIONS = Registry("attention", AttentionKind)


@dataclass
class DecoderConfig(SideConfig):
    """Decoder of any kind."""

    @property
    def attends(self) -> bool:
        """True if the decoder attends to the source."""
        return True


@dataclass
class RecurrentDecoderConfig(RecurrentSide, DecoderConfig):
    """Recurrent decoder. The kinds differ in the attention query and in where the context vector is used."""

    attention: str | None = field(default=AttentionKind.additive, metadata={"registry": ATTENTIONS})
    """Attention to the source; null, with gnmt only: none, so that the bridge is the only path from the source
    (Sutskever et al. 2014)."""
    heads: int = 4
    """Heads of multi-head attention (Vaswani et al. 2017, 3.2.2)."""
    attention_window: int = 10
    """Half-width of the window of local attention, in source tokens: D of Luong et al. 2015, 3.2."""
    max_positions: int = 512
    """Rows of the table of location attention, which ignores later source tokens."""
    bridge: BridgeKind = BridgeKind.learned
    """Initial state. learned: a projection of the final encoder state, or of the mean of the memory if the encoder is
    not recurrent; zero: zeros (released configuration of Britz et al. 2017)."""
    feed_forward: int | None = None
    """Inner width of a feed-forward block after each layer above the bottom one; null: none."""
    lexicon: bool = False
    """Add a lexicon module, which predicts target words directly from the attended source embeddings (after Nguyen and
    Chiang 2018)."""

    @property
    def attends(self) -> bool:
        return self.attention is not None

    @property
    def feeds(self) -> bool:
        """True if the previous attentional vector is an input of the bottom layer."""
        return False

    def problems(self) -> Problems:
        yield from super().problems()
        yield from ATTENTIONS.problems(self, "attention")
        yield from number(self, "feed_forward", 1, 1 << 16)
        if self.feed_forward is not None and self.layers == 1:
            yield "feed_forward", f"is {self.feed_forward} but there is no layer above the bottom one; set it to null"
        if self.attention is not None:
            return
        if not isinstance(self, GnmtDecoderConfig):
            yield "attention", f"is null but decoder is {self.kind}; choose an attention, or model/decoder=gnmt"
        if self.lexicon:
            yield "lexicon", "is true but attention is null; a lexicon needs attention weights, set it to false"
        if self.bridge == BridgeKind.zero:
            yield (
                "bridge",
                "is zero and attention is null, so that the decoder has no access to the source; choose an attention",
            )
        if self.feeds:
            yield (
                "input_feeding",
                "is true but attention is null, so that there is nothing to feed; set input_feeding to false",
            )

    def size_problems(self, embed_size: int, hidden_size: int) -> Problems:
        if self.attention == AttentionKind.multi_head_dot:
            yield from heads_problems(self, "hidden_size", hidden_size)
        if self.attention == AttentionKind.multi_head_additive:
            yield from heads_problems(self, "half of hidden_size", hidden_size // 2)


@dataclass
class FeedingDecoderConfig(RecurrentDecoderConfig):
    """Recurrent decoder whose attentional vector can be fed into the next step."""

    least_residual = 1

    input_feeding: bool = False
    """Feed the previous attentional vector into the next step (Luong et al. 2015, 3.3). Slower, because training then
    runs step by step."""

    @property
    def feeds(self) -> bool:
        return self.input_feeding


@dataclass
class GnmtDecoderConfig(FeedingDecoderConfig):
    """Query: output of the bottom layer (Wu et al. 2016)."""

    kind: str = "gnmt"


@dataclass
class LuongDecoderConfig(FeedingDecoderConfig):
    """Query: output of the top layer (Luong et al. 2015)."""

    kind: str = "luong"


@dataclass
class BahdanauDecoderConfig(RecurrentDecoderConfig):
    """Query: state before the step (Bahdanau et al. 2015)."""

    kind: str = "bahdanau"


@dataclass
class ConditionalDecoderConfig(RecurrentDecoderConfig):
    """Query: output of the first of two cells in the bottom layer (Sennrich et al. 2017)."""

    kind: str = "conditional"

    def problems(self) -> Problems:
        yield from super().problems()
        if self.convolution is not None:
            yield (
                "convolution",
                "is not supported by the conditional decoder, whose two cells share one state; use null",
            )


@dataclass
class TransformerDecoderConfig(TransformerSide, DecoderConfig):
    """Transformer decoder (Vaswani et al. 2017)."""

    kind: str = "transformer"


@dataclass
class ConvolutionalDecoderConfig(ConvolutionalSide, DecoderConfig):
    """Convolutional decoder (Gehring et al. 2017)."""

    kind: str = "convolutional"


DECODERS: dict[str, type[DecoderConfig]] = {
    "gnmt": GnmtDecoderConfig,
    "luong": LuongDecoderConfig,
    "bahdanau": BahdanauDecoderConfig,
    "conditional": ConditionalDecoderConfig,
    "transformer": TransformerDecoderConfig,
    "convolutional": ConvolutionalDecoderConfig,
}
"""Configuration class of each kind of decoder."""
