"""nmt-adapt: learn from corrections of translations, in a copy of a run."""

from itertools import islice

from omegaconf import DictConfig

from nmt.adaptation import Adaptation, adapt, write_adapted_run
from nmt.cli import app
from nmt.config import AdaptConfig, with_search
from nmt.console import escape_control_characters
from nmt.decoding import load_translator
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    for key in ("corrections", "output"):
        app.required(cfg, key)
    config, search = with_search(AdaptConfig, cfg, run.config().search)
    folder = app.new_path(config.output)
    runtime = setup_runtime(config.machine)
    with app.interruptible("nothing was written; repeat the command"):
        translator, step = load_translator(run, config.checkpoint, search, runtime.device)
        result, weights = adapt(run, translator, config)
        write_adapted_run(run, step, result, weights, config, app.overrides())
    show(result, config.examples)
    show_text(
        "",
        f"{folder} is the adapted run; {run.path} is unchanged.",
        f"To use it: run={folder}. To undo: use run={run.path} again, and delete {folder}.",
    )


def show(result: Adaptation, examples: int) -> None:
    """Print the corrections, the change of BLEU, and some changed translations of the validation sample."""
    texts = zip(result.lessons, result.before.corrected, result.after.corrected, result.learned, strict=True)
    for number, (lesson, old, new, learned) in enumerate(texts, start=1):
        show_text(
            f"correction {number} {'comes out' if learned else 'does not come out'}",
            f"  source  {lesson.line}",
            f"  before  {old}",
            f"  wanted  {lesson.wanted}",
            f"  after   {new}",
        )
    limit = f"; up to {result.over_limit} came out where BLEU fell by more than max_loss" * (
        result.over_limit > sum(result.learned)
    )
    before, after, changed = result.before.score, result.after.score, result.changed
    show_text(
        "",
        f"{sum(result.learned)} of {len(result.lessons)} corrections come out with the weights of step {result.steps}; "
        f"training ended at step {result.steps_taken}{limit}.",
        f"validation sample: {len(changed)} of {len(result.sample[0])} translations changed",
        f"BLEU {before.score:.2f} -> {after.score:.2f} ({after.score - before.score:+.2f})  {after.signature}",
    )
    for number in islice(changed, examples):
        show_text(
            f"changed translation, sentence {number + 1} of the sample",
            f"  source     {result.sample[0][number]}",
            f"  before     {result.before.sample[number]}",
            f"  after      {result.after.sample[number]}",
            f"  reference  {result.sample[1][number]}",
        )


def show_text(*lines: str) -> None:
    """Print lines without control characters."""
    for line in lines:
        print(escape_control_characters(line))


def main() -> None:
    app.run("adapt", command)


if __name__ == "__main__":
    main()
