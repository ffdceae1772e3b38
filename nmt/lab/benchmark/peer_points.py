"""BLEU and speed of translation of other toolkits, from the measurements that docs/peers.md describes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nmt.errors import UserError
from nmt.lab.benchmark.peers import MACHINE, BenchmarkMachine, MeasurementLine, measurement_lines, read_machine


@dataclass
class PeerPoint:
    """Repeated measurements of translation by one toolkit with one beam size."""

    label: str
    beam_size: int
    bleu: float = 0.0
    """BLEU on 0 to 100, from the measurement with the most sentences."""
    signature: str = ""
    """Signature of BLEU; empty if the file does not have it."""
    sentences: int = 0
    """Number of sentences of `bleu`."""
    sentences_per_second: list[float] = field(default_factory=list)
    """Speed in batches of several sentences, one value per measurement."""
    milliseconds_per_sentence: list[float] = field(default_factory=list)
    """Mean time of a sentence in batches of one, one value per measurement."""

    def add(self, row: MeasurementLine, bleu: tuple[float, str]) -> None:
        """Add a measurement."""
        sentences, seconds = row.positive("n"), row.positive("decode_s")
        if sentences > self.sentences:
            self.sentences = int(sentences)
            self.bleu, self.signature = bleu
        if row.number("batch") == 1:
            self.milliseconds_per_sentence.append(1000 * seconds / sentences)
        else:
            self.sentences_per_second.append(sentences / seconds)


@dataclass(frozen=True)
class PeerPoints:
    """Points of a folder."""

    machine: BenchmarkMachine
    points: Sequence[PeerPoint]
    left_out: int
    """Number of measurements that were made beside other busy processes."""


def read_peer_points(folder: Path, beam_sizes: Sequence[int]) -> PeerPoints:
    """Read the measurements of decoding that have BLEU and the number of sentences.

    Raises:
        UserError: a file is missing, or a line is not a measurement; the error names file, line and key.
    """
    points: dict[tuple[str, int], PeerPoint] = {}
    left_out = 0
    for row in measurement_lines(folder):
        if row.text("stage") != "decode" or row.number("beam") not in beam_sizes:
            continue
        bleu = bleu_of(row)
        if bleu is None or "n" not in row.content:
            continue
        if row.disturbed:
            left_out += 1
            continue
        beam_size = int(row.number("beam"))
        label = row.label + (f", beam {beam_size}" if len(beam_sizes) > 1 else "")
        points.setdefault((row.label, beam_size), PeerPoint(label, beam_size)).add(row, bleu)
    return PeerPoints(read_machine(folder / MACHINE), list(points.values()), left_out)


def bleu_of(row: MeasurementLine) -> tuple[float, str] | None:
    """Return BLEU and its signature, which can be empty; None if the line has no BLEU.

    The value is a number, or a text such as `25.1 | nrefs:1|case:mixed` of which anything after a further space is
    ignored.

    Raises:
        UserError: BLEU is another value.
    """
    value = row.content.get("bleu")
    if value is None:
        return None
    score, _, rest = str(value).partition("|")
    try:
        number = float(score)
        if isinstance(value, bool) or not 0 <= number <= 100:
            raise ValueError
    except ValueError:
        raise UserError(
            f"{row.place}: bleu is {value!r:.80}; allowed: a number from 0 to 100, or a text as '25.1 | SIGNATURE'"
        ) from None
    return number, rest.strip().partition(" ")[0]
