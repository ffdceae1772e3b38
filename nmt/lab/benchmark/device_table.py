"""The results of a check of a device as Markdown."""

from typing import Any

from nmt.lab.comparison.report import UNKNOWN, table_lines


def check_table(check: dict[str, Any]) -> str:
    """Return the tables of a check, from the content of device_check.json."""
    machine, settings = check["machine"], check["settings"]
    cpu = machine["cpu"]
    name = machine["cuda"]["name"] if "cuda" in machine else machine["processor"]
    lines = [
        f"# Check of {machine['device']}: {name}",
        "",
        f"{machine['time']}; commit {machine['commit'] or 'unknown'}; torch {machine['torch']}; "
        f"{cpu['threads']} threads on {cpu['cores']} cores; PyTorch uses {cpu['torch_capability']}, "
        f"AMX {'yes' if cpu['torch_amx'] else 'no'}.",
        "",
    ]
    lines += peak_lines(check)
    if check["training"]:
        rows = [
            [
                row["corpus"],
                row["device"],
                row["precision"],
                str(row["steps"]),
                f"{row['losses'][-1]:.3f}",
                UNKNOWN if row["difference"] is None else f"{row['difference']:.2%} ({row['versus']})",
                f"{row['tokens_per_second']:,.0f}",
            ]
            for row in check["training"]
        ]
        headings = ["training", "device", "precision", "steps", "last loss", "difference", "target tokens/s"]
        lines += table_lines(headings, rows)
    if check["decoding"]:
        lines += decoding_lines(check["decoding"])
    lines += [f"Difference: of the mean losses over the last fifth of the steps; at most {settings['bound']:.0%}.", ""]
    lines += [f"- {note}" for note in check["notes"]] + [""] * bool(check["notes"])
    lines += [f"**Failed: {failure}.**" for failure in check["failures"]] or ["All comparisons are within the bound."]
    return "\n".join(lines) + "\n"


def peak_lines(check: dict[str, Any]) -> list[str]:
    """Return the table of the peaks of matrix products, in TFLOP/s (int8: 10^12 operations/s)."""
    sources = {"this process": check["peaks"]} if check["peaks"] else {}
    sources |= {f"oneDNN, {name}": found["peaks"] for name, found in check["instructions"].items() if found}
    if not sources:
        return []
    types = list(next(iter(sources.values())))
    rows = [[name, *(f"{peaks.get(of, 0) / 1e12:.3f}" for of in types)] for name, peaks in sources.items()]
    found = [check["instructions"].get(name, {}).get("peaks") for name in ("all", "without AMX")]
    if all(found):
        ratios = [f"{found[0][of] / found[1][of]:.2f}" if found[1][of] else UNKNOWN for of in types]
        rows.append(["ratio of all to without AMX", *ratios])
    lines = table_lines(["products, TFLOP/s", *types], rows)
    for name, one in check["instructions"].items():
        if one:
            lines.append(f"- {name}: {one['isa']}; kernels {', '.join(one['kernels']) or 'not named'}")
    return [*lines, ""]


def decoding_lines(decoding: list[dict[str, Any]]) -> list[str]:
    """Return the table of decoding, one row per corpus and precision."""
    batches = sorted({row["batch"] for row in decoding})
    rows = []
    for corpus, precision in dict.fromkeys((row["corpus"], row["precision"]) for row in decoding):
        found = {row["batch"]: row for row in decoding if (row["corpus"], row["precision"]) == (corpus, precision)}
        equal = next((row["equal_to_float32"] for row in found.values() if "equal_to_float32" in row), None)
        speeds = [f"{found[size]['sentences_per_second']:,.1f}" if size in found else UNKNOWN for size in batches]
        rows.append([corpus, precision, *speeds, UNKNOWN if equal is None else f"{equal:.0%}"])
    return table_lines(
        ["decoding, sentences/s", "precision", *(f"batch {size}" for size in batches), "equal to float32"], rows
    )
