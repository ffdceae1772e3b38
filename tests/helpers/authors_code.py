"""Code of a method's authors, for comparisons. The tests do not require it: make test-authors installs it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def load_file(package: str, file: str) -> ModuleType:
    """Load one file of an installed package without the package itself, whose other requirements may be missing.

    The test is skipped if the package is not installed.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"needs {package} (make test-authors)")
    spec = importlib.util.spec_from_file_location(Path(file).stem, Path(found.submodule_search_locations[0]) / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
