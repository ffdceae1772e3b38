"""Runs and exported folders, one of which a command translates with; an exported folder is read without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmt.config import SearchConfig, user_path
from nmt.export import ExportedFolder, is_export, open_export

if TYPE_CHECKING:
    from nmt.run import RunDirectory


def open_source(path: str) -> RunDirectory | ExportedFolder:
    """Open a run directory or an exported folder, after verifying the checksums of its files.

    Raises:
        UserError: the folder does not exist, or it is damaged.
    """
    if is_export(user_path(path)):
        return open_export(path)
    from nmt.run import RunDirectory

    return RunDirectory.open(path)


def trained_search(source: RunDirectory | ExportedFolder) -> SearchConfig:
    """Return the search settings of a run or an exported folder."""
    return source.settings.search if isinstance(source, ExportedFolder) else source.config().search
