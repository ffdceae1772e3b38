"""Where things are: the configuration files, the cache, and paths as the user wrote them."""

import os
from pathlib import Path

import nmt


def conf_dir() -> str:
    """Absolute path of the configuration files, in a checkout, an editable install and a wheel."""
    package = Path(nmt.__file__).resolve().parent
    packaged = package / "conf"
    return str(packaged if packaged.is_dir() else package.parent / "conf")


def corpus_note(name: str) -> str | None:
    """What `conf/data/NAME.yaml` says in its first line: which corpus it is, and on which terms; None: no such file."""
    path = os.path.join(conf_dir(), "data", f"{name}.yaml")
    if os.path.basename(name) != name or not os.path.isfile(path):
        return None
    first = Path(path).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else None


def cache_dir(configured: str | None) -> Path:
    """Folder for downloads and prepared ids: the configured one, $NMT_CACHE, or ~/.cache/nmt."""
    return Path(configured or os.environ.get("NMT_CACHE") or "~/.cache/nmt").expanduser().absolute()
