"""scripts/device_check.py: compare losses and speeds of several precisions on a device, as a table and as JSON."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from nmt.cli import app
from nmt.config import (
    AttentionKind,
    Config,
    DataConfig,
    DeviceCheckConfig,
    GnmtDecoderConfig,
    MachineConfig,
    ModelConfig,
    OptimConfig,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    SearchKind,
    TokenizerConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    from_hydra,
)
from nmt.data import prepare, write_json
from nmt.errors import UserError
from nmt.lab.benchmark.device import (
    DecodingCheck,
    TimeBudget,
    TrainedSteps,
    loss_difference,
    share_of_equal,
    train_steps,
)
from nmt.lab.benchmark.device_table import check_table
from nmt.lab.benchmark.figures import matmul_peak, timed
from nmt.lab.benchmark.instructions import WITHOUT_AMX, cpu_facts, int8_peak, probe
from nmt.models.int8 import exact_weight_levels
from nmt.run import provenance
from nmt.runtime import setup_runtime
from nmt.training import Trainer

LARGEST_PRODUCT = 8192
"""Rows and columns of the largest matrix product on CUDA."""
PHRASEBOOK = DataConfig(
    name="phrasebook",
    phrasebook=PhrasebookConfig(train=20_000, valid=100, test=512),
    tokenizer=TokenizerConfig(vocab_size=1000),
)
"""Corpus of the first training: 300 steps of 64 sentences."""

log = logging.getLogger(__name__)


@dataclass
class DeviceCheck:
    """Results of a check."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    peaks: dict[str, float] = field(default_factory=dict)
    """Operations per second of matrix products by type."""
    instructions: dict[str, Any] = field(default_factory=dict)
    """Peaks and kernels of oneDNN with all instructions, and without AMX."""
    training: list[dict[str, Any]] = field(default_factory=list)
    decoding: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Parts that were left out or cut short, with the reason."""
    failures: list[str] = field(default_factory=list)
    """Losses that differ by more than the bound."""


def command(cfg: DictConfig) -> None:
    config = from_hydra(DeviceCheckConfig, cfg)
    output = app.new_path(config.output)
    runtime = setup_runtime(MachineConfig(device=config.device, precision=Precision.float32, threads=config.threads))
    output.mkdir(parents=True)
    check = DeviceCheck(machine_facts(runtime.device), settings_of(config))
    budget = TimeBudget(config.minutes)
    parts: list[tuple[str, Callable[[], None]]] = [
        ("peaks of matrix products", lambda: measure_peaks(check, runtime.device)),
    ]
    if runtime.device.type == "cpu":
        parts.append(("products without AMX", lambda: compare_instructions(check)))
    with tempfile.TemporaryDirectory(prefix="nmt-device-check-") as folder:
        corpora = [(PHRASEBOOK, config.phrasebook_steps)]
        if config.data.phrasebook is None:
            corpora.append((config.data, config.steps))
        for data, steps in corpora:
            full = training_config(config, data, steps)
            place = Path(folder) / data.name

            def run(full: Config = full, place: Path = place) -> None:
                check_corpus(check, config, full, place, runtime.device, budget)

            parts.append((f"training and decoding of {data.name}", run))
        for name, part in parts:
            if budget.used_up:
                check.notes.append(f"{name}: left out, because the {config.minutes:g} minutes were used up")
                continue
            log.info("%s", name)
            part()
    write_json(output / "device_check.json", asdict(check))
    text = check_table(asdict(check))
    (output / "device_check.md").write_text(text, encoding="utf-8")
    print(text, end="")
    if check.failures:
        app.fail(f"{'; '.join(check.failures)}; all figures are in {output}", 1)


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Return what identifies machine and code."""
    facts = provenance([])
    chosen = {name: facts[name] for name in ("time", "commit", "processor", "platform", "python")}
    chosen |= {"torch": facts["libraries"]["torch"], "device": str(device), "cpu": cpu_facts()}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        chosen["cuda"] = {
            "name": properties.name,
            "memory_bytes": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "bfloat16": torch.cuda.is_bf16_supported(),
        }
    return chosen


def settings_of(config: DeviceCheckConfig) -> dict[str, Any]:
    """Return the settings of the check without the corpus, which has its name instead."""
    return {name: value for name, value in vars(config).items() if name not in ("data", "output")} | {
        "data": config.data.name
    }


def training_config(config: DeviceCheckConfig, data: DataConfig, steps: int) -> Config:
    """Return the configuration of a training: one encoder layer, two GNMT decoder layers, general attention."""
    decoder = GnmtDecoderConfig(attention=AttentionKind.general, layers=2)
    model = ModelConfig(embed_size=max(1, config.hidden_size // 2), hidden_size=config.hidden_size, decoder=decoder)
    return Config(
        data=data,
        model=replace(model, dropout=0.1),
        optim=OptimConfig(warmup_steps=min(100, steps)),
        train=TrainConfig(batch_size=config.batch_size, max_steps=steps),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        machine=MachineConfig(device=config.device, threads=config.threads),
    )


def measure_peaks(check: DeviceCheck, device: torch.device) -> None:
    """Measure the peaks of matrix products on the device."""

    def clock(action: Callable[[], object]) -> float:
        def finished() -> None:
            action()
            torch.cuda.synchronize(device)

        return timed(finished)

    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        if device.type == "cuda":
            check.peaks[name] = matmul_peak(dtype, clock=clock, device=str(device), largest=LARGEST_PRODUCT)
        else:
            check.peaks[name] = matmul_peak(dtype)
    if device.type == "cpu":
        check.peaks["int8"] = int8_peak()


def compare_instructions(check: DeviceCheck) -> None:
    """Measure products in processes whose oneDNN has all instructions, and none of AMX."""
    for name, isa in (("all", None), ("without AMX", WITHOUT_AMX)):
        check.instructions[name] = probe(isa)
        if not check.instructions[name]:
            check.notes.append(f"products with {name} instructions: the process that measures them failed")


def check_corpus(
    check: DeviceCheck, config: DeviceCheckConfig, full: Config, folder: Path, device: torch.device, budget: TimeBudget
) -> None:
    """Train on a corpus in each precision, compare the losses, and decode with the model trained in float32."""
    try:
        prepare(full.data)
    except UserError as error:
        check.notes.append(f"{full.data.name}: left out, because its files cannot be had ({error})")
        return
    cpu = torch.device("cpu")
    variants = [(device, False), (device, True)]
    if device.type != "cpu":
        variants.insert(0, (cpu, False))
    trained: list[TrainedSteps] = []
    decoder: tuple[Trainer, Path] | None = None
    for number, (on, bfloat16) in enumerate(variants):
        name = f"{full.data.name} on {on} in {'bfloat16' if bfloat16 else 'float32'}"
        if budget.used_up:
            check.notes.append(f"training of {name}: left out, because the time was used up")
            continue
        place = folder / str(number)
        trainer, steps = train_steps(full, place, on, bfloat16, full.train.max_steps, budget)
        if len(steps.losses) < full.train.max_steps:
            check.notes.append(f"training of {name}: stopped after {len(steps.losses)} steps, the time was used up")
        decoder = (trainer, place) if on == device and not bfloat16 else decoder
        trained.append(steps)
        log.info("%s: loss %.3f, %.0f target tokens/s", name, steps.losses[-1], steps.tokens_per_second)
        entry = {"corpus": full.data.name, **asdict(steps), "steps": len(steps.losses)}
        check.training.append(entry | compare_losses(check, config, name, trained))
    if decoder is not None and not budget.used_up:
        check_decoding(check, config, full.data.name, DecodingCheck(*decoder, search_of(config)), device, budget)
    else:
        check.notes.append(f"decoding of {full.data.name}: left out, because the time was used up")


def compare_losses(
    check: DeviceCheck, config: DeviceCheckConfig, name: str, trained: list[TrainedSteps]
) -> dict[str, Any]:
    """Compare the losses of the last training with those of the one before it, and record a failure."""
    if len(trained) < 2:
        return {"difference": None, "versus": None}
    other = trained[-2]
    versus = f"{other.device} {other.precision}"
    difference = loss_difference(trained[-1].losses, other.losses)
    if not difference <= config.bound:
        check.failures.append(
            f"the losses of {name} differ by {difference:.1%} from {versus}, more than bound={config.bound:g}"
        )
    return {"difference": difference, "versus": versus}


def search_of(config: DeviceCheckConfig) -> SearchConfig:
    kind = SearchKind.greedy if config.beam_size == 1 else SearchKind.beam
    return SearchConfig(kind=kind, beam_size=config.beam_size)


def check_decoding(
    check: DeviceCheck,
    config: DeviceCheckConfig,
    corpus: str,
    decoding: DecodingCheck,
    device: torch.device,
    budget: TimeBudget,
) -> None:
    """Measure decoding in each precision and batch size, and the share of translations that equal float32's."""
    precisions = [Precision.float32, Precision.bfloat16]
    if device.type == "cpu" and exact_weight_levels():
        precisions.append(Precision.int8)
    elif device.type == "cpu":
        check.notes.append("decoding in int8: left out, because this processor has no exact 8-bit products")
    exact: list[str] = []
    for precision in precisions:
        for batch in config.decode_batches:
            if budget.used_up:
                name = f"decoding of {corpus} in {precision}, batch {batch}"
                check.notes.append(f"{name}: left out, because the time was used up")
                continue
            translator = decoding.translator(precision, device)
            speed = decoding.speed(translator, batch, config.decode_seconds)
            entry = {"corpus": corpus, "precision": str(precision), "batch": batch, "sentences_per_second": speed}
            if batch == config.decode_batches[0]:
                translator.config = decoding.search
                translations = decoding.translations(translator)
                exact = exact or translations
                entry["equal_to_float32"] = share_of_equal(translations, exact)
            check.decoding.append(entry)
            log.info("decoding of %s in %s, batch %d: %.1f sentences/s", corpus, precision, batch, speed)


def main() -> None:
    app.run("device_check", command)


if __name__ == "__main__":
    main()
