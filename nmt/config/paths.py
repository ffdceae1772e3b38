"""Where things are: the configuration files, the cache, and paths as the user wrote them."""

import os
from pathlib import Path

import nmt
from nmt.errors import UserError


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
    return path_of(configured or os.environ.get("NMT_CACHE") or "~/.cache/nmt").absolute()


def path_of(given: str) -> Path:
    """A path as a user wrote it, `~` for a home.

    Raises:
        UserError: no file can have this name, or there is no such home.
    """
    try:
        path = Path(given).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (RuntimeError, ValueError, OSError) as error:  # of pathlib for ~nobody, of a zero byte, and of the system
        cause = getattr(error, "strerror", None) or error
        raise UserError(f"{given!r:.200} is no path that can be used ({cause}); give another") from None
    return path
