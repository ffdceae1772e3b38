"""Paths of the configuration files and the cache, and paths given by the user."""

import os
from pathlib import Path

import nmt
from nmt.errors import UserError


def conf_dir() -> str:
    """Return the absolute path of the configuration files in a checkout, an editable install or a wheel."""
    package = Path(nmt.__file__).resolve().parent
    packaged = package / "conf"
    return str(packaged if packaged.is_dir() else package.parent / "conf")


def corpus_description(name: str) -> str | None:
    """Return the first comment line of `conf/data/NAME.yaml`, which describes the corpus and its licence.

    Return None if the file does not exist or does not begin with a comment.
    """
    path = description_path(name)
    if path is None:
        return None
    first = Path(path).read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("# ") if first.startswith("# ") else None


def description_path(name: str) -> str | None:
    """Return the path of `conf/data/NAME.yaml`; None if the file does not exist."""
    path = os.path.join(conf_dir(), "data", f"{name}.yaml")
    return path if os.path.basename(name) == name and os.path.isfile(path) else None


def cache_dir(configured: str | None) -> Path:
    """Return the folder for downloads and preprocessed corpora: the configured one, $NMT_CACHE, or ~/.cache/nmt."""
    return user_path(configured or os.environ.get("NMT_CACHE") or "~/.cache/nmt").absolute()


def user_path(text: str) -> Path:
    """Convert a path given by the user, expanding `~`.

    Raises:
        UserError: no file can have this name, or the home directory does not exist.
    """
    try:
        path = Path(text).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (RuntimeError, ValueError, OSError) as error:  # unknown home, zero byte, system error
        cause = getattr(error, "strerror", None) or error
        raise UserError(f"{text!r:.200} is not a usable path ({cause}); give another") from None
    return path
