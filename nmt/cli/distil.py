"""nmt-distil: write the training set of a run with the run's translations as targets (Kim and Rush 2016, 3.2)."""

import shutil

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.file_translation import translate_file
from nmt.config import DistilConfig, with_search
from nmt.decoding import load_translator
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.run_corpus import write_corpus
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
    data = run.config().data
    partial = folder.with_name(f"{folder.name}.untranslated")  # renamed when it is complete
    shutil.rmtree(partial, ignore_errors=True)
    write_corpus(run, data, partial, targets="reference")
    translate_file(translator, partial / f"train.{data.src_lang}", str(partial / f"train.{data.tgt_lang}"))
    partial.rename(folder)
    print(folder)


def main() -> None:
    app.run("distil", command)


if __name__ == "__main__":
    main()
