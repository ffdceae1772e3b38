"""Where the diagnoses go: a new folder for each."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from nmt.cli import app
from nmt.config import DiagnoseConfig
from nmt.errors import UserError


def output_folder(config: DiagnoseConfig) -> Path:
    """Where the pictures and numbers will be; nothing is there yet.

    Raises:
        UserError: something is.
    """
    if config.output is not None:
        return app.new_path(config.output)
    return Path("runs") / f"{config.task}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"


def save_numbers(folder: Path, name: str, record: Mapping[str, object]) -> None:
    """Makes the folder, and writes FOLDER/NAME.json.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"output={folder}: {error.strerror}; choose a folder that you may write to") from None
