"""A look at a corpus before anyone trains on it."""

from nmt.doctor.examine import examine
from nmt.doctor.findings import Finding, Verdict
from nmt.doctor.report import show_findings, write_findings

__all__ = ["Finding", "Verdict", "examine", "show_findings", "write_findings"]
