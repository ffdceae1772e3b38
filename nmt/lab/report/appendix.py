"""Appendix of a paper about one run: hyper-parameters, cost, data, scores and software, as tables."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.config import Config, flatten, with_described_tests
from nmt.lab.comparison.latex import write_tables
from nmt.lab.comparison.report import TitledTable
from nmt.lab.comparison.systems import format_setting
from nmt.lab.report.facts import RunFacts
from nmt.lab.report.recorded import NOT_RECORDED, Fact
from nmt.run.directory import SIDES, RunDirectory

SECTIONS = ("model", "optim", "train", "search", "data.tokenizer")
"""Sections of the configuration that are hyper-parameters."""
NOT_PARAMETERS = ("train.resume", "train.resume_step", "train.log_every", "train.keep_checkpoints")
OFF: tuple[object, ...] = (None, False, 0, "", [])
COLUMNS = r"lp{0.6\linewidth}"


def write_appendix(facts: RunFacts, run: RunDirectory, folder: Path) -> list[Path]:
    """Write appendix.md and appendix.tex, and return both paths."""
    tables = appendix_tables(facts, run)
    return write_tables(tables, folder / "appendix", COLUMNS, heading=f"Appendix: {facts.name}")


def appendix_tables(facts: RunFacts, run: RunDirectory) -> list[TitledTable]:
    """Return the tables of the appendix, each with a column of names and one of values."""
    starts = run.record()["starts"]
    parts: list[tuple[str, list[Fact], list[str]]] = [
        (
            "Hyper-parameters",
            list(hyper_parameters(facts.config)),
            ["Settings that are off and whose default is off are left out. docs/commands.md explains each key."],
        ),
        (
            "Cost of training",
            [*facts.cost, *facts.progress, *computing(run.facts, starts)],
            ["One run, without the trainings that were made to choose the hyper-parameters. Energy: not measured."],
        ),
        ("Data", list(data_statement(facts, run)), ["Validation and test sets are not cleaned."]),
        ("Software", list(software(starts)), ["Versions at the last start of the training."]),
    ]
    parts += [
        (
            f"Scores on {record.name}",
            [*((score.label, f"{score.number} {score.interval}".strip()) for score in record.scores), *record.made_by],
            ["In brackets: 95 % bootstrap interval over the sentences. Signatures:"]
            + [f"{score.label}: {score.signature}" for score in record.scores],
        )
        for record in facts.scores
    ]
    return [
        TitledTable(title, ["", "value"], [list(row) for row in rows], notes) for title, rows, notes in parts if rows
    ]


def hyper_parameters(config: Config) -> Iterator[Fact]:
    """Yield the seed and every setting of `SECTIONS` that is on or differs from its default."""
    defaults, settings = flatten(asdict(Config())), flatten(asdict(config))
    yield "seed", str(config.seed)
    for key, value in settings.items():
        if not key.startswith(tuple(f"{section}." for section in SECTIONS)) or key in NOT_PARAMETERS:
            continue
        if value not in OFF or value != defaults.get(key):
            yield key, format_setting(value)


def computing(cost: dict[str, float], starts: list[dict[str, Any]]) -> Iterator[Fact]:
    """Yield hardware and core-hours: hours of training times the threads of all processes.

    Runs of older versions do not record the number of processes.
    """
    machines = dict.fromkeys(f"{start.get('processor') or '?'}, {start.get('cores', '?')} cores" for start in starts)
    yield "hardware", "; ".join(machines) or NOT_RECORDED
    threads = {start.get("threads") for start in starts}
    yield "threads per process", ", ".join(map(str, sorted(filter(None, threads)))) or NOT_RECORDED
    yield "starts of the training", str(len(starts))
    cores = {start.get("threads", 0) * start.get("processes", 1) for start in starts}
    if len(cores) == 1 and cores != {0} and "seconds" in cost:
        label = "core-hours" if all("processes" in start for start in starts) else "core-hours of one process"
        yield label, f"{cost['seconds'] / 3600 * cores.pop():.2f}"
    else:
        yield "core-hours", f"{NOT_RECORDED}, or the starts used different numbers of threads or processes"


def data_statement(facts: RunFacts, run: RunDirectory) -> Iterator[Fact]:
    """Yield corpus, terms of use, languages, sizes and preprocessing."""
    data = with_described_tests(facts.config.data)
    yield "corpus", data.name if data.phrasebook is None else "phrasebook, generated from a grammar"
    yield "description and terms of use", facts.terms or "not known: state the licence of the corpus here"
    yield "languages", f"{data.src_lang} (source), {data.tgt_lang} (target)"
    if data.download is not None:
        yield "origin", data.download.url
    if data.most_pairs is not None:
        yield "training pairs used", f"the first {data.most_pairs:,}"
    yield from facts.corpus
    cleaning = data.cleaning
    yield (
        "filters of the training set",
        f"1 to {cleaning.max_words} words and at most {cleaning.max_characters} characters per side, length ratio at "
        f"most {cleaning.max_ratio:g}, at most {data.max_pieces} pieces per side"
        + "; duplicates dropped" * cleaning.drop_duplicates
        + "; pairs with equal sides dropped" * cleaning.drop_identical
        + "; pairs of the held-out sets dropped" * cleaning.drop_test_pairs
        + "; pairs with a source of the held-out sets dropped" * cleaning.drop_test_sources,
    )
    yield "normalisation", "Unicode NFC, white space reduced to single spaces, control characters removed"
    sizes = " and ".join(f"{run.tokenizer(side).size:,}" for side in (SIDES[:1] if data.tokenizer.joint else SIDES))
    kind = "one vocabulary for both languages" if data.tokenizer.joint else "one vocabulary per language"
    yield "pieces", f"{facts.kind_of_pieces}, {sizes} pieces, {kind}"


def software(starts: list[dict[str, Any]]) -> Iterator[Fact]:
    """Yield the versions at the last start."""
    if not starts:
        return
    last = starts[-1]
    for name, version in (
        ("nmt", last.get("nmt")),
        ("commit", last.get("commit")),
        ("Python", last.get("python")),
        *(last.get("libraries") or {}).items(),
    ):
        if version:
            yield name, str(version)
