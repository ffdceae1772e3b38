"""All checks of a corpus, in the order of the report."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from nmt.config import DoctorConfig
from nmt.config.data import CleaningConfig
from nmt.console import progress_bar
from nmt.data import MAX_TEXT_BYTES, SourceForm, locate, tokenizer_advice
from nmt.data.preprocessing.cleaning import Reason, digests
from nmt.data.words import WordCounts
from nmt.errors import UserError
from nmt.lab.doctor.alignment import CLEAR, WINDOW, AlignedStretch, WindowComparison, agreement, border, windows_of
from nmt.lab.doctor.findings import Finding, Limits, Share, Tally, Verdict, percent, worst_share
from nmt.lab.doctor.language import examine_languages
from nmt.lab.doctor.leakage import Leakage, overlap
from nmt.lab.doctor.overfit import examine_overfit
from nmt.lab.doctor.scan import Readable, SplitScan, scan
from nmt.lab.doctor.text import TEXT_CHECKS
from nmt.lab.doctor.vocabulary import build_tokenizers, examine_case, examine_coverage, examine_vocabulary

FEW = 200  # number of pairs that the word translation model needs
HELD_OUT_SAMPLE = 20_000


def examine(config: DoctorConfig, device: torch.device) -> list[Finding]:
    """Run all checks. The corpus is read once for the checks of every line and once for those of a sample.

    Raises:
        UserError: a file is missing, or no training pair can be read.
    """
    # Of a multilingual corpus the first direction is examined, and of lines with factors the words.
    plain = SourceForm.of(config.data).plain
    data = replace(config.data, directions=[], factors=[])
    config = replace(config, data=data)
    sources = {split: Readable(source, plain) for split, source in locate(data).items()}
    for path in itertools.chain.from_iterable(readable.source.paths() for readable in sources.values()):
        if not path.is_file():
            fault = "is not a file, which a corpus must be" if path.exists() else "does not exist"
            raise UserError(f"{path} {fault}; check the path in the data configuration")
    held_out: dict[str, list[tuple[str, str]]] = {
        split: list(sources[split].pairs(MAX_TEXT_BYTES)) for split in ("valid", "test") if split in sources
    }
    leakage = Leakage(held_out)
    words = [WordCounts(pair[at] for pairs in held_out.values() for pair in pairs) for at in (0, 1)]
    known = digests(itertools.chain(*held_out.values()))
    with progress_bar() as progress:
        scans: dict[str, SplitScan] = {}
        for split, readable in sources.items():
            task = progress.add_task(f"reading {split}", total=None)
            train = split == "train"
            scans[split] = scan(
                split,
                readable,
                data.cleaning,
                known if train else set(),
                (config.sample if train else HELD_OUT_SAMPLE, config.seed),
                lambda count, task=task: progress.advance(task, count),  # type: ignore[misc]
                leakage if train else None,
                (words[0], words[1]) if train else None,
                data.tokenizer.user_symbols,
            )
            progress.update(task, total=scans[split].report.read)
        if scans["train"].report.read == 0:
            raise UserError(f"no training pair can be read: {sources['train'].fault}")
        progress.add_task("comparing the sides", total=None)
        findings = [examine_files(sources), examine_alignment(sources["train"], scans["train"])]
        progress.add_task("identifying languages", total=None)
        findings += examine_languages(data, {name: split_scan.sample for name, split_scan in scans.items()})
    findings += examine_text(config, list(scans.values()))
    findings.append(examine_bleu(data.bleu_tokenize, [tgt for pairs in held_out.values() for _, tgt in pairs]))
    findings += examine_cleaning(data.cleaning, list(scans.values()), sum(map(len, held_out.values())))
    findings += leakage.findings(data.cleaning) + overlap(held_out)
    findings += examine_sample(config, scans, (words[0], words[1]), device)
    return findings


def examine_sample(
    config: DoctorConfig, scans: dict[str, SplitScan], words: tuple[WordCounts, WordCounts], device: torch.device
) -> Iterator[Finding]:
    """Run the checks that need the training pairs that remain after cleaning."""
    train, others = scans["train"], [split_scan for name, split_scan in scans.items() if name != "train"]
    if not train.kept:
        yield Finding("vocabulary", Verdict.bad, "cleaning drops every training pair", remedy="see the checks above")
        return
    yield examine_case(list(scans.values()))
    yield from examine_coverage(train, others, words)
    tokenizers, failure = build_tokenizers(config.data, train)
    if failure is not None:
        yield failure
        return
    yield from examine_vocabulary(config.data, train, others, tokenizers)
    if config.overfit_steps:
        steps, seconds = config.overfit_steps, config.overfit_seconds
        yield examine_overfit(config.model, train.sample, tokenizers, device, config.seed, steps, seconds)


def examine_files(sources: dict[str, Readable]) -> Finding:
    """Check that the files of every split were read to their end."""
    faults = [f"{split}: {readable.fault}" for split, readable in sources.items() if readable.fault]
    if faults:
        text = f"{len(faults)} of {len(sources)} splits are damaged; the other checks use the lines before the damage"
        return Finding("files", Verdict.bad, text, "bad if any", remedy="; ".join(faults))
    return Finding("files", Verdict.ok, f"{', '.join(sources)} read to the end", "bad if any is damaged")


def examine_alignment(readable: Readable, train: SplitScan) -> Finding:
    """Check that line i of the source belongs to line i of the target, and locate the first line that does not."""
    total = train.report.read
    if total < FEW:
        return Finding("alignment", Verdict.ok, f"not judged: {total} pairs are too few; at least {FEW} are needed")
    result, comparison = agreement(list(windows_of(readable.pairs(), total)))
    limits = f"look below 90 %, bad below {CLEAR:.0%} or if any stretch is misaligned"
    text = f"{percent(result.share)} of {result.pairs:,} sampled pairs fit their own target better than a distant one"
    misaligned = [stretch for stretch in result.stretches if stretch.shift != 0]
    if not misaligned:
        verdict = Verdict.bad if result.share < CLEAR else Verdict.look if result.share < 0.9 else Verdict.ok
        remedy = "" if verdict == Verdict.ok else "compare the two sides of data.train at several lines"
        return Finding("alignment", verdict, text, limits, remedy=remedy, value=result.share)
    described = [describe(stretch) for stretch in misaligned[:3]]
    more = f" and {len(misaligned) - 3} more stretches" if len(misaligned) > 3 else ""
    line = begin_of(result.stretches, readable, comparison)
    return Finding(
        "alignment",
        Verdict.bad,
        f"{text}; {', '.join(described)}{more}",
        limits,
        [f"train:{line}"],
        f"data.train has a missing or an extra line near line {line}: align the files again from there",
        result.share,
    )


def describe(stretch: AlignedStretch) -> str:
    """Return a phrase with the lines and the shift of a stretch."""
    state = (
        "match no nearby line" if stretch.shift is None else f"have their target shifted by {stretch.shift:+d} lines"
    )
    return f"lines {stretch.first:,} to {stretch.last:,} {state}"


def begin_of(stretches: Sequence[AlignedStretch], readable: Readable, comparison: WindowComparison) -> int:
    """Estimate the first line of the first misaligned stretch."""
    number = next(i for i, stretch in enumerate(stretches) if stretch.shift != 0)
    after = stretches[number]
    if after.shift is None and after.last - after.first < 2 * WINDOW:  # a window across the border fits neither shift
        after = next((stretch for stretch in stretches[number:][1:2] if stretch.shift), after)
    if number == 0 or after.shift is None:
        return after.first
    return border(readable.pairs(), comparison, stretches[number - 1], after)


def examine_text(config: DoctorConfig, scans: Sequence[SplitScan]) -> Iterator[Finding]:
    """Run the checks of single lines and of the numbers and addresses of pairs."""
    for check in TEXT_CHECKS:
        shares = [share for split_scan in scans for share in split_scan.shares(check.name)]
        limits = check.limits
        if check.name == "markup" and config.data.bleu_tokenize == "none":  # Moses' tokenizer escapes quotation marks
            limits = replace(limits, bad=None)
        yield worst_share(check.name, check.counted, shares, limits, check.remedy)
    tokenised = [share for split_scan in scans for share in split_scan.shares("tokenised")]
    if config.data.bleu_tokenize == "none":
        yield Finding("tokenised", Verdict.ok, "data.bleu_tokenize=none declares the text as tokenised")
    else:
        counted = "lines have spaces before full stops and commas, or marks of Moses or BPE"
        remedy = "detokenise the text (sacremoses detokenize), or set data.bleu_tokenize=none"
        yield worst_share("tokenised", counted, tokenised, Limits(0.03, 0.3), remedy)
    for name, counted in (
        ("numbers", "pairs with digits on both sides have different digits"),
        ("addresses", "pairs with a web address have different addresses"),
    ):
        shares = [replace_small(share) for split_scan in scans for share in split_scan.shares(name)]
        remedy = "check whether these lines are translations of each other, and see the finding on alignment"
        yield worst_share(name, counted, shares, Limits(0.25, 0.7), remedy)


def examine_bleu(tokenize: str, references: Sequence[str]) -> Finding:
    """Check that BLEU's tokenizer splits the held-out references into words."""
    limits = "bad where data.bleu_tokenize does not split text without spaces"
    if advice := tokenizer_advice(references, tokenize):
        text, _, remedy = advice.rpartition("; ")
        return Finding("bleu tokenizer", Verdict.bad, text, limits, remedy=remedy)
    return Finding("bleu tokenizer", Verdict.ok, f"data.bleu_tokenize={tokenize} suits the references", limits)


def replace_small(share: Share, least: int = 20) -> Share:
    """Return an empty share where fewer than `least` pairs were counted."""
    return share if share.whole >= least else replace(share, tally=Tally())


CLEANING = {
    Reason.empty: ("empty lines", "pairs have an empty side", Limits(0.0005, 0.02), "remove the lines on both sides"),
    Reason.too_long: (
        "too long",
        "pairs exceed data.cleaning.max_words or max_characters",
        Limits(0.01, 0.1),
        "split the lines into sentences, or raise data.cleaning.max_words",
    ),
    Reason.ratio: (
        "length ratio",
        "pairs exceed data.cleaning.max_ratio",
        Limits(0.01, 0.1),
        "look for untranslated parts in these lines; data.cleaning.max_ratio drops them",
    ),
    Reason.identical: (
        "copied source",
        "pairs have two equal sides",
        Limits(0.01, 0.1),
        "leave data.cleaning.drop_identical on; check that the files of data.{split} are translated",
    ),
    Reason.duplicate: (
        "duplicates",
        "pairs are duplicates of earlier pairs",
        Limits(0.05, 0.5),
        "leave data.cleaning.drop_duplicates on; remove duplicates from held-out sets",
    ),
}


def examine_cleaning(config: CleaningConfig, scans: Sequence[SplitScan], held_out: int) -> Iterator[Finding]:
    """Check how many pairs cleaning would drop; held-out sets are counted too, although they are not cleaned."""
    for reason, (name, counted, limits, remedy) in CLEANING.items():
        shares = [Share(split_scan.split, dropped(split_scan, reason), split_scan.report.read) for split_scan in scans]
        yield worst_share(name, counted, shares, limits, remedy)
    train = next(split_scan for split_scan in scans if split_scan.split == "train")
    share = Share("train", dropped(train, Reason.in_test), max(held_out, 1))
    limits = Limits(0.0, None if config.drop_test_pairs else 0.01)
    remedy = "preparation drops these pairs: leave data.cleaning.drop_test_pairs on"
    yield worst_share(
        "held-out pairs in train", "held-out pairs, counted with repetition, occur in train", [share], limits, remedy
    )


def dropped(split_scan: SplitScan, reason: Reason) -> Tally:
    """Return the number and examples of the pairs dropped for a reason."""
    report = split_scan.report
    return Tally(report.dropped[reason], [example.line for example in report.examples[reason]])
