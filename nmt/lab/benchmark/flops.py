"""Number of floating-point operations of a model, without padding."""

from dataclasses import dataclass

from nmt.config import (
    AttentionKind,
    BahdanauDecoderConfig,
    BridgeKind,
    ConditionalDecoderConfig,
    ConvolutionalDecoderConfig,
    ConvolutionalEncoderConfig,
    ConvolutionalSide,
    GnmtDecoderConfig,
    LuongDecoderConfig,
    ModelConfig,
    RecurrentDecoderConfig,
    RecurrentEncoderConfig,
    RecurrentSide,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.data import Batch
from nmt.errors import UserError
from nmt.models.bridge import reads_first_output
from nmt.models.layers.block_diagonal import head_count
from nmt.models.layers.cells import cell_type
from nmt.models.layers.elementwise import ElementwiseLayer
from nmt.models.layers.fused import FusedLayer
from nmt.models.layers.matrix_memory import MatrixMemoryLayer, memory_heads
from nmt.models.layers.rg_lru import RGLRU
from nmt.models.layers.slstm import SLSTM


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


def forward_flops(model: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of the matrix products of one forward pass: two per weight and token.

    Let E, H, V be the sizes of embedding, hidden state and target vocabulary (`words`). The output costs 2 E V per
    target token, and a projection of the memory from width M to width W, where they differ, 2 M W per source token.

    Raises:
        UserError: there is no formula for this encoder or decoder.
    """
    e, h, encoder, decoder = model.embed_size, model.hidden_size, model.encoder, model.decoder
    match encoder:
        case RecurrentEncoderConfig():
            flops = recurrent_encoder_flops(encoder, e, h, work)
        case TransformerEncoderConfig():
            flops = transformer_encoder_flops(encoder, e, work)
        case ConvolutionalEncoderConfig():
            flops = convolutional_flops(encoder, e, h, work.src_tokens)
        case _:
            raise UserError(
                f"model.encoder.kind={encoder.kind} has no formula for its operations; add one to {__name__}"
            )
    memory, attended = (h if isinstance(side, RecurrentSide) else e for side in (encoder, decoder))
    if memory != attended:
        flops += (1 + isinstance(encoder, ConvolutionalEncoderConfig)) * 2 * memory * attended * work.src_tokens
    match decoder:
        case RecurrentDecoderConfig():
            state = encoder.layer_widths(h)[1][-1] if isinstance(encoder, RecurrentEncoderConfig) else h
            flops += recurrent_decoder_flops(decoder, e, h, state, work)
        case TransformerDecoderConfig():
            flops += transformer_decoder_flops(decoder, e, work)
        case ConvolutionalDecoderConfig():  # each layer has a query, an output, scores and contexts as well
            flops += convolutional_flops(decoder, e, h, work.tgt_tokens)
            flops += decoder.layers * (2 * 2 * e * h * work.tgt_tokens + 4 * e * work.tokens_squared)
        case _:
            raise UserError(
                f"model.decoder.kind={decoder.kind} has no formula for its operations; add one to {__name__}"
            )
    return flops + 2 * e * words * work.tgt_tokens


def layer_flops(cell: str, reads: int, width: int) -> int:
    """Return the operations per step of a layer of width W with G gates and inputs of size I: 2 G W (I + W).

    Without a recurrent matrix it is 2 G W I; `memory_flops` adds the products of a matrix memory. Block-diagonal
    matrices of K heads have W / K in place of W, those of rg_lru for its two gates.
    """
    kind = cell_type(cell)
    if issubclass(kind, RGLRU):
        return 2 * 2 * width * (reads + width // head_count(width))
    if issubclass(kind, SLSTM):
        return 2 * kind.gates * width * (reads + width // head_count(width))
    if issubclass(kind, ElementwiseLayer):
        return 2 * kind.products * width * reads
    if issubclass(kind, MatrixMemoryLayer):
        return 2 * kind.input_units(width) * reads
    if not hasattr(kind, "gates"):  # a registered cell
        raise UserError(f"the cell {cell} has no attribute `gates` to count its operations by; add it")
    return 2 * kind.gates * width * (reads + width)


def memory_flops(cell: str, width: int, tokens: int, squared: int, started: bool, stepwise: bool) -> int:
    """Return the operations of the products with a matrix memory, of heads of D units, in a layer of width W. They are

    pair of steps   scores and what they read, 4 W; for the delta rule, products of keys and a triangular system, 3 W
    step            the memory at the end, 2 D W; what each query, and each key of the delta rule, reads from it, 2 D W

    A step by itself only has the reads. An empty memory is not read, except in the chunks after the first one of a
    sequence, whose reads are not counted.

    Args:
        cell: name of the cell.
        width: width W.
        tokens: number of steps.
        squared: number of pairs of steps of the same sentence.
        started: True if the first memory is not empty.
        stepwise: True if the layer runs step by step.
    """
    kind = cell_type(cell)
    if not issubclass(kind, MatrixMemoryLayer):
        return 0
    once, reads = 2 * (width // memory_heads(width)) * width * tokens, 2 if kind.delta_rule else 1
    if stepwise:
        return reads * once
    pairs = squared if kind.chunk is None else min(squared, kind.chunk * tokens)
    return (7 if kind.delta_rule else 4) * width * pairs + (1 + reads * started) * once


def recurrent_encoder_flops(config: RecurrentEncoderConfig, e: int, h: int, work: Work) -> int:
    """Return the operations of a recurrent encoder, all per source token but those of a matrix memory.

    Layers in each direction (a fused layer has one more input, a 1 that carries the mask as its bias; with `pre_norm` a
    matrix after it); further transitions, whose input is a 1; feed-forward blocks; the projections of the embeddings
    and to H.
    """
    both, widths = config.layer_widths(h)
    more, block = config.transitions - 1, config.feed_forward or 0
    masked = 1 if issubclass(cell_type(config.cell), FusedLayer) and not more else 0
    source, memory = 2 * widths[-1] * h if widths[-1] != h else 0, 0
    source += embedding_flops(config, e, widths[0])
    bottom = widths[0] if config.residual_from == 1 else e
    for two, width, reads in zip(both, widths, [bottom, *widths[:-1]], strict=True):
        direction = width // 2 if two else width
        step = layer_flops(config.cell, reads + masked, direction) + more * layer_flops(config.cell, 1, direction)
        step += 2 * direction**2 * config.pre_norm
        source += (1 + two) * step + 2 * 2 * width * block
        once = memory_flops(config.cell, direction, work.src_tokens, work.src_squared, started=False, stepwise=False)
        memory += (1 + two) * once
    return source * work.src_tokens + memory


def embedding_flops(config: RecurrentSide, e: int, width: int) -> int:
    """Return the operations per token of the matrix of the embeddings with `residual_from=1`: 2 E W."""
    return 2 * e * width if config.residual_from == 1 and e != width else 0


def recurrent_decoder_flops(config: RecurrentDecoderConfig, e: int, h: int, state: int, work: Work) -> int:
    """Return the operations of a recurrent decoder that starts from an encoder state of width `state`. They are, per

    source token    the keys and values of the attention
    sentence        a learned bridge: 2 H times the width of the encoder's state per tensor of each layer's state
    target token    layers and readout (see `decoder_sizes`), with `pre_norm` a matrix after each layer; feed-forward
                    blocks; the queries and outputs of the attention; the projection of the embeddings; the layers of
                    a lexicon: 2 . 2 E E
    pair of tokens  the score and context of the attention; the sum of a lexicon: 2 E
    """
    kind, (key, query, pair) = cell_type(config.cell), attention_flops(config, h)
    bridged = kind.bridged() - (not reads_first_output(config))
    sentence = 2 * bridged * state * h * config.layers * (config.bridge == BridgeKind.learned)
    inputs, readout = decoder_sizes(config, e, h)
    target = sum(layer_flops(config.cell, reads, h) + 2 * h**2 * config.pre_norm for reads in inputs)
    target += 2 * readout + query + 2 * 2 * h * (config.feed_forward or 0) * (config.layers - 1)
    target += embedding_flops(config, e, h)
    if config.lexicon:
        target += 2 * 2 * e**2
        pair += 2 * e
    steps = stepwise_cells(config, len(inputs))
    memory = sum(
        memory_flops(config.cell, h, work.tgt_tokens, work.tgt_squared, True, stepwise=cell < steps)
        for cell in range(len(inputs))
    )
    tokens = work.src_tokens * key + work.sentences * sentence + work.tgt_tokens * target
    return tokens + work.tokens_squared * pair + memory


def stepwise_cells(config: RecurrentDecoderConfig, cells: int) -> int:
    """Return the number of cells, from the bottom, that a decoder with `cells` cells runs step by step in training."""
    match config:
        case BahdanauDecoderConfig():
            return 1
        case ConditionalDecoderConfig():
            return 2
        case _:
            return cells if config.feeds or config.attention == AttentionKind.coverage else 0


def decoder_sizes(config: RecurrentDecoderConfig, e: int, h: int) -> tuple[list[int], int]:
    """Return the input size of each cell of the decoder, and the number of weights of the readout."""
    context = h if config.attends else 0
    bottom, upper = (h if config.residual_from == 1 else e) + e * config.feeds, config.layers - 1
    match config:
        case GnmtDecoderConfig():
            return [bottom] + [h + context] * upper, (h + context) * e
        case LuongDecoderConfig():
            return [bottom] + [h] * upper, (h + context) * e
        case BahdanauDecoderConfig():
            return [e + h] + [h + h] * upper, (h + h + e) * 2 * e
        case ConditionalDecoderConfig():
            return [e, h] + [h + h] * upper, (h + h + e) * e
        case _:
            raise UserError(
                f"model.decoder.kind={config.kind} has no formula for its operations; add one to {__name__}"
            )


def attention_flops(config: RecurrentDecoderConfig, h: int) -> tuple[int, int, int]:
    """Return the operations per source token (key, value), per query (with output) and per pair (score, context).

    The width of queries is H, that of additive keys A = H / 2.
    """
    a = h // 2
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
                f"model.decoder.attention={config.attention} has no formula for its operations; "
                f"add one to {__name__}.attention_flops"
            )


def transformer_encoder_flops(config: TransformerEncoderConfig, e: int, work: Work) -> int:
    """Return the operations of a Transformer encoder with feed-forward layers of width F. They are, per layer and

    source token   queries, keys, values, outputs: 4 . 2 E^2; feed-forward: 2 . 2 E F
    pair of them   score and context: 2 E + 2 E
    """
    token = 4 * 2 * e * e + 2 * 2 * e * config.feed_forward_size
    return config.layers * (token * work.src_tokens + 4 * e * work.src_squared)


def transformer_decoder_flops(config: TransformerDecoderConfig, e: int, work: Work) -> int:
    """Return the operations of a Transformer decoder with feed-forward layers of width F. They are, per layer and

    source token    keys and values: 2 . 2 E^2
    target token    as in the encoder, and queries and outputs for the source: 6 . 2 E^2 + 2 . 2 E F
    pair of tokens  score and context: 2 E + 2 E, also for pairs of target tokens that the causal mask hides
    """
    token, pairs = 6 * 2 * e * e + 2 * 2 * e * config.feed_forward_size, work.tgt_squared + work.tokens_squared
    return config.layers * (2 * 2 * e * e * work.src_tokens + token * work.tgt_tokens + 4 * e * pairs)


def convolutional_flops(config: ConvolutionalSide, e: int, h: int, tokens: int) -> int:
    """Return the operations of convolutions of kernel width k on one side, all per token.

    Projections into the stack and out of it: 2 . 2 E H; each layer: 2 k H . 2 H.
    """
    return tokens * (2 * 2 * e * h + config.layers * 2 * config.kernel_width * h * 2 * h)


def training_flops(config: ModelConfig, words: int, work: Work) -> int:
    """Return the operations of a training step: forward, and twice that backward.

    The backward pass has one product for the gradient of the inputs and one for the gradient of the weights.
    """
    return 3 * forward_flops(config, words, work)
