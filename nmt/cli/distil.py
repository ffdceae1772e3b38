"""nmt-distil: write the training set of a run with the run's translations as targets (Kim and Rush 2016, 3.2)."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.file_translation import translate_file
from nmt.config import DistilConfig, with_search
from nmt.data import locate, normalise
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    app.required(cfg, "output")
    config, search = with_search(DistilConfig, cfg, run.config().search)
    if search.n_best > 1:
        raise UserError(f"search.n_best={search.n_best}: each sentence has one target; set search.n_best=1")
    if run.config().data.directions:
        raise UserError(f"run={run.path} translates in several directions; distil needs a run without data.directions")
    folder = app.new_path(config.output)
    others = [RunDirectory.open(path) for path in config.ensemble]
    runtime = setup_runtime(config.machine)
    translator, _ = load_translator(run, config.checkpoint, search, runtime.device, others)
    runtime.prepare_search(translator)
    pairs = locate(run.config().data)["train"].pairs()
    partial = folder.with_name(f"{folder.name}.part")  # renamed when it is complete
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        source, target = copy_corpus(run, pairs, partial)
        translate_file(translator, source, str(target))
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"output={config.output}: {error.strerror}; choose a folder with write access") from None
    print(folder)


def copy_corpus(run: RunDirectory, pairs: Iterable[tuple[str, str]], folder: Path) -> tuple[Path, Path]:
    """Write the corpus of a run to a folder, the training targets as `reference.LANGUAGE`.

    Returns:
        paths of the training sources and of the translations to come.
    """
    data = run.config().data
    languages = {"src": data.src_lang, "tgt": data.tgt_lang}
    source, target = (folder / f"train.{language}" for language in languages.values())
    for split in filter(run.has_split, ("valid", "test")):
        for side, language in languages.items():
            shutil.copyfile(run.path / "data" / f"{split}.{side}", folder / f"{split}.{language}")
    with (
        source.open("w", encoding="utf-8", newline="\n") as sources,
        (folder / f"reference.{data.tgt_lang}").open("w", encoding="utf-8", newline="\n") as references,
    ):
        for src, tgt in pairs:
            sources.write(normalise(src) + "\n")
            references.write(normalise(tgt) + "\n")
    return source, target


def main() -> None:
    app.run("distil", command)


if __name__ == "__main__":
    main()
