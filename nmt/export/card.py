"""Model card of an exported folder, with the headings of Mitchell et al. 2019 that have facts in a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import nmt
from nmt.config import ExportPrecision
from nmt.data import read_json
from nmt.export.settings import ExportSettings
from nmt.lab.comparison.report import escaped
from nmt.lab.report.facts import terms
from nmt.lab.report.recorded import EvaluationRecord
from nmt.run import RunDirectory


@dataclass(frozen=True)
class CardFacts:
    """Facts of a model card."""

    run: RunDirectory
    settings: ExportSettings
    difference: float
    """Largest difference from the run's model in a log-probability."""
    changes: Sequence[tuple[str, str, str]]
    """Set, BLEU in float32 and BLEU in 8 bits; empty for a float32 export."""


def model_card(facts: CardFacts) -> str:
    """Return the model card in Markdown. Names and texts of the run are escaped."""
    sections = (details(facts), intended_use(facts), scores(facts), training_data(facts), limits(facts))
    return "\n".join(line for section in sections for line in section) + "\n"


def one_line(text: object) -> str:
    """Return a text on one line, escaped."""
    return escaped(" ".join(str(text).split()))


def details(facts: CardFacts) -> Iterator[str]:
    """Yield title, model and files."""
    settings, config = facts.settings, facts.run.config()
    model = config.model
    pairs = ", ".join(f"{src} to {tgt}" for src, tgt in settings.directions)
    yield f"# Model card: {one_line(settings.name)}"
    yield ""
    yield "## Model details"
    yield ""
    yield f"- Translates {one_line(pairs)}, one sentence at a time."
    for name, side in (("Encoder", model.encoder), ("Decoder", model.decoder)):
        keys = [f"{key} {value}" for key, value in vars(side).items() if key in ("layers", "cell", "attention")]
        yield f"- {name}: {one_line(', '.join([side.kind, *keys]))}."
    yield f"- Sizes: embeddings of {model.embed_size}, hidden states of {model.hidden_size} units."
    yield f"- Vocabularies: {settings.src_size:,} source pieces, {settings.tgt_size:,} target pieces."
    yield f"- Weights: checkpoint {one_line(settings.checkpoint)} at step {settings.step:,}, {settings.precision}."
    yield f"- The log-probabilities of the graphs in float32 differ from the run's by at most {facts.difference:.0e}, "
    yield "  relative to values beyond one."
    yield f"- Written by nmt {nmt.__version__} as ONNX; `nmt-translate run=FOLDER` translates with it."
    yield ""


def intended_use(facts: CardFacts) -> Iterator[str]:
    """Yield the section of the intended use."""
    yield "## Intended use"
    yield ""
    yield f"- Research and teaching, on sentences like those of the corpus {one_line(facts.run.config().data.name)}."
    yield "- Do not use translations without review by a reader of both languages where an error can do harm."
    yield ""


def scores(facts: CardFacts) -> Iterator[str]:
    """Yield the recorded scores of the run, and the change by 8-bit weights."""
    yield "## Quantitative analyses"
    yield ""
    paths = sorted(facts.run.path.glob("scores/*.json"))
    records = [record for record in map(EvaluationRecord.read, paths) if record is not None]
    if not records:
        yield "No set has been scored; `nmt-evaluate` scores the run."
        yield ""
    for record in records:
        yield f"Set {one_line(record.name)}, scored with the run's own model:"
        yield ""
        for score in record.scores:
            yield f"- {one_line(score.label)} {one_line(score.number)} {one_line(score.interval)}".rstrip()
            yield f"  {one_line(score.signature)}"
        yield ""
    if facts.changes:
        yield "BLEU of the exported graphs:"
        yield ""
        yield "| set | float32 | int8 |"
        yield "|---|---|---|"
        yield from (f"| {split} | {float32} | {int8} |" for split, float32, int8 in facts.changes)
        yield ""


def training_data(facts: CardFacts) -> Iterator[str]:
    """Yield the corpus and its terms."""
    yield "## Training data"
    yield ""
    known = terms(facts.run.config())
    yield one_line(known or "The terms of the corpus are not known; state them before you distribute the model.")
    yield ""
    try:
        report = read_json(facts.run.path / "data" / "report.json")
        yield f"- pairs kept: {int(report['kept']):,}"
        yield ""
    except (OSError, ValueError, LookupError, TypeError):
        return


def limits(facts: CardFacts) -> Iterator[str]:
    """Yield what is known to go wrong."""
    yield "## Caveats and recommendations"
    yield ""
    yield "- A translation can be fluent and wrong: names, numbers and negations can change without notice."
    yield "- Bias and harmful content were not measured, neither in the training data nor in the translations."
    yield f"- This is one training with one seed ({facts.run.config().seed}). Another seed has other scores."
    yield "- Other domains, registers and languages were not measured."
    if facts.settings.precision == ExportPrecision.int8:
        yield "- Inputs are rounded per batch, so that a translation can depend on the other sentences of its batch."
