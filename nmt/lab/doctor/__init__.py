"""Examination of a corpus before training."""

from nmt.lab.doctor.examine import examine
from nmt.lab.doctor.findings import Finding, Verdict
from nmt.lab.doctor.report import show_findings, write_findings

__all__ = ["Finding", "Verdict", "examine", "show_findings", "write_findings"]
