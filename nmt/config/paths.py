"""Where things are: the configuration files, the cache, and paths as the user wrote them."""

import os
from pathlib import Path

import nmt


def conf_dir() -> str:
    """Absolute path of the configuration files, in a checkout, an editable install and a wheel."""
    package = Path(nmt.__file__).resolve().parent
    packaged = package / "conf"
    return str(packaged if packaged.is_dir() else package.parent / "conf")


def cache_dir(configured: str | None) -> Path:
    """Folder for downloads and prepared ids: the configured one, $NMT_CACHE, or ~/.cache/nmt."""
    return Path(configured or os.environ.get("NMT_CACHE") or "~/.cache/nmt").expanduser().absolute()
