"""Systems to judge: scored runs, or files of translations."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import user_path
from nmt.data import read_for_scoring
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.systems import gather
from nmt.lab.judgements.design import JudgedSystem


@dataclass(frozen=True)
class JudgedTranslations:
    """Translations of one test set by several systems."""

    test: EvaluationSet
    systems: list[JudgedSystem]


def systems_of_runs(runs: Sequence[str], split: str) -> JudgedTranslations:
    """Return the recorded translations of runs. Each run is a system; runs that differ in the seed are not merged.

    Raises:
        UserError: a run has no scores, or its test set differs from the other runs'.
    """
    systems, test = gather(runs, split)
    scored = [run for system in systems for run in system.runs]
    names = [run.run.path.resolve().name for run in scored]
    judged = [
        JudgedSystem(name if names.count(name) == 1 else str(run.run.path), str(run.run.path.resolve()), run.hypotheses)
        for name, run in zip(names, scored, strict=True)
    ]
    return JudgedTranslations(test, judged)


def systems_of_files(hyps: Sequence[str], src: str, ref: str) -> JudgedTranslations:
    """Return the translations of files. Each file is a system and is named by its path.

    Raises:
        UserError: the files have different numbers of lines, or a file is given twice.
    """
    test = EvaluationSet.of_files(src, ref)
    test.check()
    if len(set(hyps)) < len(hyps):
        raise UserError("hyps names a file twice; give different files")
    systems = [JudgedSystem(path, path, read_for_scoring(user_path(path))) for path in hyps]
    for system in systems:
        if len(system.translations) != len(test.src):
            raise UserError(
                f"{system.path} has {len(system.translations)} lines and {src} {len(test.src)}; give parallel files"
            )
    return JudgedTranslations(test, systems)
