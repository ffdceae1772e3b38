"""scripts/diagnose.py: plots of gradients, memory, gates, attention and calibration, with their numbers."""

import sys
from dataclasses import asdict
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from nmt.cli import app
from nmt.cli.app.prompt import attention_table
from nmt.cli.diagnosis.calibration import calibrate
from nmt.cli.diagnosis.gradients import gradients
from nmt.cli.diagnosis.memory import memory
from nmt.cli.diagnosis.output import output_folder, save_numbers
from nmt.config import DiagnoseConfig, Diagnosis, ModelSide, SearchConfig, SearchKind, with_search
from nmt.console import escape_control_characters
from nmt.data import EOS_ID, make_batch, normalise
from nmt.decoding import Translator, load_model, load_translator
from nmt.evaluation import draw_attention
from nmt.lab.diagnostics.attention import attend
from nmt.lab.diagnostics.gates import Recording, record_gates
from nmt.lab.plots.diagnostics import draw_gates
from nmt.run import RunDirectory
from nmt.runtime import Runtime, setup_runtime


def command(cfg: DictConfig) -> None:
    app.first_word(cfg, "task", list(Diagnosis))
    run = None if cfg.run is None else RunDirectory.open(cfg.run)
    base = SearchConfig(kind=SearchKind.greedy, beam_size=1) if run is None else run.config().search
    config, search = with_search(DiagnoseConfig, cfg, base)
    folder = output_folder(config)
    runtime = setup_runtime(config.machine)
    match config.task:
        case Diagnosis.gradients:
            gradients(config, run, runtime, folder)
        case Diagnosis.memory:
            memory(config, search, runtime, folder)
        case Diagnosis.gates:
            assert run is not None
            gates(config, run, search, runtime, folder)
        case Diagnosis.attention:
            assert run is not None
            attention(config, run, search, runtime, folder)
        case Diagnosis.calibration:
            assert run is not None
            calibrate(config, run, search, runtime, folder)
    print(folder)


def gates(config: DiagnoseConfig, run: RunDirectory, search: SearchConfig, runtime: Runtime, folder: Path) -> None:
    """Write FOLDER/gates.json and gates.png, and print the share of saturated units of each gate."""
    assert config.sentence is not None
    model, _ = load_model(run, config.checkpoint)
    model.to(runtime.device)
    shape, side, layer = run.config().model, config.side, config.layer
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    lines = [[normalise(line) for line in lines[: config.sentences]] for lines in run.text("valid")]
    valid_batch = make_batch(src.encode(lines[0]), tgt.encode(lines[1]), range(len(lines[0])))
    translator = Translator(model, src, tgt, search, src_lang=run.config().data.src_lang)
    (translation, *_) = translator.translate([config.sentence])[0]
    ids = [src.encode([normalise(config.sentence)])[0]], [tgt.encode([translation.text])[0]]
    pieces = src.pieces([*ids[0][0], EOS_ID]) if side != ModelSide.decoder else ["<s>", *tgt.pieces(ids[1][0])]
    recording = record_gates(model, shape, side, layer, make_batch(*ids, [0]).to(runtime.device))
    valid_recording = record_gates(model, shape, side, layer, valid_batch.to(runtime.device))
    where = f"{run.path.name}, {side} layer {layer}"
    show_saturation(valid_recording, f"{where}: share of units over {len(lines[0])} validation sentences, in percent")
    record = {
        "run": str(run.path),
        "side": side,
        "layer": layer,
        "sentence": config.sentence,
        "translation": translation.text,
        "pieces": pieces,
        "mean": {name: gate[:, 0].mean(dim=1).tolist() for name, gate in recording.gates.items()},
        "gates": {name: gate[:, 0].tolist() for name, gate in recording.gates.items()},
        "saturation": {
            name: dict(
                zip(("left", "right"), (part.tolist() for part in valid_recording.saturation(name)), strict=True)
            )
            for name in sigmoid_gates(valid_recording)
        },
        "largest_difference_of_logits": max(recording.difference, valid_recording.difference),
    }
    save_numbers(folder, "gates", record)
    draw_gates(f"{where}: {finding(recording, pieces)}", recording, valid_recording, pieces, folder / "gates.png")


def sigmoid_gates(recording: Recording) -> list[str]:
    return [name for name in recording.gates if name != "candidate"]


def finding(recording: Recording, pieces: list[str]) -> str:
    """Return the title: the pieces at which the layer forgets most and keeps most."""
    means = recording.kept[:, 0].mean(dim=1).tolist()
    low, high = min(means), max(means)
    return (
        f"it forgets most at {pieces[means.index(low)]!r} (mean gate {low:.2f}) "
        f"and keeps most at {pieces[means.index(high)]!r} ({high:.2f})"
    )


def show_saturation(recording: Recording, title: str) -> None:
    """Print the mean of each gate and the shares of its values below 0.1 and above 0.9."""
    table = Table("gate", "mean", "below 0.1", "above 0.9", title=title, title_justify="left")
    for name in sigmoid_gates(recording):
        left, right = recording.saturation(name)
        mean = float(recording.gates[name][recording.mask].mean())
        table.add_row(name, f"{100 * mean:.0f}", f"{100 * float(left.mean()):.1f}", f"{100 * float(right.mean()):.1f}")
    Console(width=110).print(table)


def attention(config: DiagnoseConfig, run: RunDirectory, search: SearchConfig, runtime: Runtime, folder: Path) -> None:
    """Write FOLDER/attention.json and one picture per translation, and print the attention maps."""
    assert config.sentence is not None
    others = [RunDirectory.open(path) for path in config.ensemble]
    translator, _ = load_translator(run, config.checkpoint, search, runtime.device, others)
    translations = attend(translator, config.sentence)
    record = {
        "runs": [str(member.path) for member in (run, *others)],
        "search": asdict(search),
        "sentence": config.sentence,
        "translations": [asdict(translation) for translation in translations],
    }
    save_numbers(folder, "attention", record)
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # a file can hold all columns
    for rank, translation in enumerate(translations, start=1):
        title = f"{rank} of {len(translations)}, score {translation.score:.3f}: {translation.text}"
        print(escape_control_characters(title))
        console.print(attention_table(translation.attention))
        draw_attention(translation.attention, folder / f"attention_{rank}.png", title)


def main() -> None:
    """Run the command. The first word is the task. The sentence is quoted, so that Hydra reads it literally."""
    if len(sys.argv) > 1 and "=" not in sys.argv[1] and not sys.argv[1].startswith("-"):
        sys.argv[1] = f"task={sys.argv[1]}"
    for number, argument in enumerate(sys.argv):
        key, _, text = argument.partition("=")
        if key == "sentence" and text:
            sys.argv[number] = f"sentence={QuotedString(text, Quote.double).with_quotes()}"
    app.run("diagnose", command)


if __name__ == "__main__":
    main()
