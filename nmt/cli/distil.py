"""nmt-distil: a run's training set with the run's own translations for targets (Kim and Rush 2016, 3.2)."""

import shutil

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.translate import translate_file
from nmt.config import DistilConfig, with_search
from nmt.data import locate, normalise
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    config = run.config()
    app.required(cfg, "output")
    asked, search = with_search(DistilConfig, cfg, config.search)
    if search.n_best > 1:
        raise UserError(f"search.n_best={search.n_best}: a sentence has one target; set search.n_best=1")
    folder = app.new_path(asked.output)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    machine = setup_runtime(asked.machine)
    translator, _ = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    pairs = locate(config.data)["train"].pairs()
    languages = {"src": config.data.src_lang, "tgt": config.data.tgt_lang}
    partial = folder.with_name(f"{folder.name}.part")  # gets its name when it is complete
    source, target = (partial / f"train.{language}" for language in languages.values())
    reference = partial / f"reference.{languages['tgt']}"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for split in filter(run.has_split, ("valid", "test")):
            for side, language in languages.items():
                shutil.copyfile(run.path / "data" / f"{split}.{side}", partial / f"{split}.{language}")
        with (
            source.open("w", encoding="utf-8", newline="\n") as sources,
            reference.open("w", encoding="utf-8", newline="\n") as references,
        ):
            for src, tgt in pairs:
                sources.write(normalise(src) + "\n")
                references.write(normalise(tgt) + "\n")
        translate_file(translator, source, str(target))
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"output={asked.output}: {error.strerror}; choose a folder that you may write to") from None
    print(folder)


def main() -> None:
    app.run("distil", command)


if __name__ == "__main__":
    main()
