"""Output folder of a diagnosis."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from nmt.cli import app
from nmt.config import DiagnoseConfig
from nmt.errors import UserError


def output_folder(config: DiagnoseConfig) -> Path:
    """Return the path of the new folder for pictures and numbers.

    Raises:
        UserError: the path exists already.
    """
    if config.output is not None:
        return app.new_path(config.output)
    return Path("runs") / f"{config.task}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"


def save_numbers(folder: Path, name: str, record: Mapping[str, object]) -> None:
    """Create the folder, and write FOLDER/NAME.json.

    Raises:
        UserError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True)
        text = json.dumps(record, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"output={folder}: {error.strerror}; choose a folder with write access") from None
