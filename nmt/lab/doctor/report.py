"""Findings as a table, as Markdown and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nmt.lab.comparison.report import TitledTable, markdown
from nmt.lab.doctor.findings import Finding, Verdict

HEADINGS = ["check", "verdict", "measured", "limits", "lines", "remedy"]


def findings_grid(name: str, findings: Sequence[Finding]) -> TitledTable:
    """Return the table of findings, titled with the number of findings per verdict."""
    rows = [[f.check, f.verdict, f.measured, f.limits, "\n".join(f.lines), f.remedy] for f in findings]
    counts = [f"{sum(f.verdict == verdict for f in findings)} {verdict}" for verdict in Verdict]
    return TitledTable(f"{name}: {', '.join(counts)}", HEADINGS, rows, ["docs/doctor.md describes each check."])


def write_findings(name: str, findings: Sequence[Finding], folder: Path) -> None:
    """Write doctor.md and doctor.json into an existing folder."""
    (folder / "doctor.md").write_text(markdown(findings_grid(name, findings)), encoding="utf-8")
    content = {"corpus": name, "findings": [asdict(finding) for finding in findings]}
    (folder / "doctor.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
