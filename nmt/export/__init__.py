"""Runs exported as ONNX graphs, and translation with them, without torch.

`nmt.export.write` and the modules that it imports need torch; the others do not.
"""

from nmt.export.folder import ExportedFolder, is_export
from nmt.export.settings import ExportPrecision, ExportSettings
from nmt.export.translator import ExportedTranslator, open_export

__all__ = ["ExportPrecision", "ExportSettings", "ExportedFolder", "ExportedTranslator", "is_export", "open_export"]
