"""Runs exported as ONNX graphs, and translation with them, without torch.

`nmt.export.write` and the modules that it imports need torch; the others do not.
"""

from nmt.export.folder import ExportedFolder, is_export
from nmt.export.settings import ExportSettings
from nmt.export.translator import ExportedTranslator, exported_translator, open_export, refuse_run_settings

__all__ = [
    "ExportSettings",
    "ExportedFolder",
    "ExportedTranslator",
    "exported_translator",
    "is_export",
    "open_export",
    "refuse_run_settings",
]
