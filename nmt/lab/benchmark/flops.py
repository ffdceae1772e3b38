"""Number of floating-point operations of a model, without padding."""

from dataclasses import dataclass

from nmt.config import Architecture, AttentionKind, BridgeKind, DecoderKind, ModelConfig, encoder_widths
from nmt.data import Batch
from nmt.errors import UserError
from nmt.models.layers.cells import cell_type
from nmt.models.layers.elementwise import ElementwiseLayer
from nmt.models.layers.fused import FusedLayer


@dataclass
class Work:
    """Number of real tokens of sentence pairs, including eos."""

    sentences: int = 0
    src_tokens: int = 0
    tgt_tokens: int = 0
    tokens_squared: int = 0
    """Sum over the pairs of source tokens times target tokens: scores of the attention."""
    src_squared: int = 0
    """Sum over the pairs of source tokens squared: scores of a Transformer encoder's self-attention."""
    tgt_squared: int = 0
    """Sum over the pairs of target tokens squared: scores of a Transformer decoder's self-attention."""

    def add(self, batch: Batch) -> None:
        """Add the pairs of a batch."""
        src, tgt = batch.src_mask.sum(0), batch.tgt_mask.sum(0)
        self.sentences += len(batch.indices)
        self.src_tokens += int(src.sum())
        self.tgt_tokens += int(tgt.sum())
        self.tokens_squared += int((src * tgt).sum())
        self.src_squared += int((src * src).sum())
        self.tgt_squared += int((tgt * tgt).sum())


def forward_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of the matrix products of one forward pass: two per weight and token.

    Args:
        config: configuration of the model.
        words: size of the target vocabulary.
        work: number of tokens.
    """
    match config.architecture:
        case Architecture.recurrent:
            return recurrent_flops(config, words, work)
        case Architecture.transformer:
            return transformer_flops(config, words, work)
        case Architecture.convolutional:
            return convolutional_flops(config, words, work)


def recurrent_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of a recurrent model.

    Let E, H, V be the sizes of embedding, hidden state and target vocabulary, and G the number of gates of a cell. A
    layer of width W with inputs of size I costs 2 G W (I + W). The operations are, per

        source token    encoder layers in each direction (a fused layer has one more input, a 1 that carries the mask
                        as its bias); further transitions, whose input is a 1; feed-forward blocks; the projection to
                        H; the keys and values of the attention
        sentence        a learned bridge: 2 H times the encoder's width per tensor of each decoder layer's state
        target token    decoder layers and readout (see `decoder_sizes`); output: 2 E V; the queries and outputs of
                        the attention; the layers of a lexicon: 2 . 2 E E
        pair of tokens  the score and context of the attention; the sum of a lexicon: 2 E
    """
    h, cell = config.hidden_size, cell_type(config.cell)
    both, widths = encoder_widths(config)
    more, block = config.encoder_transitions - 1, config.encoder_feed_forward or 0

    def layer(reads: int, width: int) -> int:
        if issubclass(cell, ElementwiseLayer):
            return 2 * cell.products * width * reads
        if not hasattr(cell, "gates"):  # a registered cell
            raise UserError(f"model.cell={config.cell} has no attribute `gates` to count its operations by; add it")
        return 2 * cell.gates * width * (reads + width)

    key, query, pair = attention_flops(config)
    masked = 1 if issubclass(cell, FusedLayer) and not more else 0
    source = key + (2 * widths[-1] * h if widths[-1] != h else 0)
    for two, width, reads in zip(both, widths, [config.embed_size, *widths[:-1]], strict=True):
        direction = width // 2 if two else width
        source += (1 + two) * (layer(reads + masked, direction) + more * layer(1, direction))
        source += 2 * 2 * width * block
    learned = config.bridge == BridgeKind.learned
    bridged = cell.states if cell.reads_output else cell.states - 1
    sentence = 2 * bridged * widths[-1] * h * config.decoder_layers * learned
    inputs, readout = decoder_sizes(config)
    target = sum(layer(reads, h) for reads in inputs) + 2 * readout + 2 * config.embed_size * words + query
    if config.lexicon:
        target += 2 * 2 * config.embed_size**2
        pair += 2 * config.embed_size
    return work.src_tokens * source + work.sentences * sentence + work.tgt_tokens * target + work.tokens_squared * pair


def decoder_sizes(config: ModelConfig) -> tuple[list[int], int]:
    """Return the input size of each cell of the decoder, and the number of weights of the readout."""
    e, h = config.embed_size, config.hidden_size
    context = h if config.attention else 0
    bottom, upper = e + (e if config.input_feeding else 0), config.decoder_layers - 1
    match config.decoder:
        case DecoderKind.gnmt:
            return [bottom] + [h + context] * upper, (h + context) * e
        case DecoderKind.luong:
            return [bottom] + [h] * upper, (h + context) * e
        case DecoderKind.bahdanau:
            return [e + h] + [h + h] * upper, (h + h + e) * 2 * e
        case DecoderKind.conditional:
            return [e, h] + [h + h] * upper, (h + h + e) * e
        case _:
            raise UserError(
                f"model.decoder={config.decoder} has no formula for its operations; add one to {__name__}.decoder_sizes"
            )


def attention_flops(config: ModelConfig) -> tuple[int, int, int]:
    """Return the operations per source token (key, value), per query (with output) and per pair (score, context).

    The width of additive keys is A = H / 2.
    """
    h, a = config.hidden_size, config.hidden_size // 2
    match config.attention:
        case None:
            return 0, 0, 0
        case AttentionKind.dot | AttentionKind.scaled_dot:
            return 0, 0, 2 * h + 2 * h
        case AttentionKind.general | AttentionKind.local_m:
            return 2 * h * h, 0, 2 * h + 2 * h
        case AttentionKind.local_p:  # the predicted centre: a hidden layer and a sum
            return 2 * h * h, 2 * h * h + 2 * h, 2 * h + 2 * h
        case AttentionKind.location:
            return 0, 2 * h * config.max_positions, 2 * h
        case AttentionKind.additive:
            return 2 * h * a, 2 * h * a, 2 * a + 2 * h
        case AttentionKind.coverage:  # the coverage has A weights
            return 2 * h * a, 2 * h * a, 2 * a + 2 * a + 2 * h
        case AttentionKind.multi_head_dot:
            return 2 * h * h + 2 * h * h, 2 * h * h + 2 * h * h, 2 * h + 2 * h
        case AttentionKind.multi_head_additive:  # all heads' energies in one product, zeros included
            return 2 * h * a + 2 * h * h, 2 * h * a + 2 * h * h, 2 * a * config.heads + 2 * h
        case _:
            raise UserError(
                f"model.attention={config.attention} has no formula for its operations; "
                f"add one to {__name__}.attention_flops"
            )


def transformer_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of a Transformer.

    Let E, F, V be the sizes of embedding, feed-forward layers and target vocabulary. The operations are, per layer and

        source token    queries, keys, values, outputs: 4 . 2 E^2; feed-forward: 2 . 2 E F;
                        keys and values for a decoder layer: 2 . 2 E^2
        target token    the same, and queries and outputs for the source: 6 . 2 E^2 + 2 . 2 E F; output: 2 E V
        pair of tokens  score and context: 2 E + 2 E, also for pairs of target tokens that the causal mask hides
    """
    e, f = config.embed_size, config.feed_forward_size
    below, above = config.encoder_layers, config.decoder_layers
    source = below * (4 * 2 * e * e + 2 * 2 * e * f) + above * 2 * 2 * e * e
    target = above * (6 * 2 * e * e + 2 * 2 * e * f) + 2 * e * words
    attended = below * work.src_squared + above * (work.tgt_squared + work.tokens_squared)
    return work.src_tokens * source + work.tgt_tokens * target + attended * 4 * e


def convolutional_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of a convolutional model.

    Let E, H, V be the sizes of embedding, convolutions and target vocabulary, and k the kernel width. The operations
    are, per

        token           projections into the stack and out of it: 2 . 2 E H; each layer: 2 k H . 2 H
        target token    each layer, query and output: 2 . 2 E H; output: 2 E V
        pair of tokens  each decoder layer, score and context: 2 E + 2 E
    """
    e, h = config.embed_size, config.hidden_size
    convolution, ends = 2 * config.kernel_width * h * 2 * h, 2 * 2 * e * h
    source = ends + config.encoder_layers * convolution
    target = ends + config.decoder_layers * (convolution + 2 * 2 * e * h) + 2 * e * words
    attended = config.decoder_layers * work.tokens_squared
    return work.src_tokens * source + work.tgt_tokens * target + attended * 4 * e


def training_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of a training step: forward, and twice that backward.

    The backward pass has one product for the gradient of the inputs and one for the gradient of the weights.
    """
    return 3 * forward_flops(config, words, work)
