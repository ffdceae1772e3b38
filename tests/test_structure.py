"""House rules that a reader relies on: who imports whom, one door to each library, no code run that came as data."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NMT = ROOT / "nmt"
FILES = sorted(NMT.rglob("*.py"))
CONF = sorted((ROOT / "conf").rglob("*.yaml"))

ORDER = [
    "config",
    "metrics",
    "phrasebook",
    "data",
    "models",
    "run",
    "decoding",
    "training",
    "evaluation",
    "runtime",
    "run_corpus",
    "pipeline",
    "adaptation",
    "back_translation",
    "lab",
    "documents",
    "export",
    "serving",
    "cli",
    "api",
]
FREE = {"allocator", "digests", "errors", "console", "processor"}  # modules beside the packages, for all of them

# Each outside library, and what the paths of the files begin with that may import it.
DOORS = {
    "hydra": ("cli/",),
    "omegaconf": ("config/", "cli/"),
    "yaml": ("config/", "cli/app/hydra_guard.py"),
    "sentencepiece": ("data/sentencepiece_model.py",),
    "tokenizers": ("data/huggingface_model.py",),
    "sacrebleu": ("metrics/",),
    "ignite": ("metrics/rouge.py",),
    "comet": ("metrics/comet.py",),
    "py3langid": ("lab/doctor/language.py",),
    "wandb": ("training/tracking.py",),
    "trackio": ("training/tracking.py",),
    "tensorboard": ("training/tracking.py",),
    "matplotlib": (
        "evaluation/figures.py",
        "lab/plots/",
    ),
    "optuna": ("lab/sweep/choose.py",),
    "jinja2": ("lab/report/page.py",),
    "safetensors": ("run/checkpoint.py",),
    "markdown_it": ("documents/formats/markdown.py",),
    "sentencex": ("data/sentence_ends.py",),
    "filelock": ("data/preprocessing/locking.py",),
    "starlette": ("serving/",),
    "uvicorn": ("serving/server.py",),
    "onnx": ("export/graphs.py",),
    "onnxruntime": ("export/sessions.py",),
    "submitit": ("cli/launch/cluster.py", "cli/launch/cluster_job.py"),
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "runpy", "pkgutil", "code"}
UNSAFE_MODULES |= {"tarfile", "zipfile"}  # whose members say where they go, and how large they are
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "np.load", "os.system", "os.popen"}
UNSAFE_CALLS |= {"shutil.unpack_archive"}
UNSAFE_CALLS |= {
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "distributed.broadcast_object_list",
}
UNSAFE_CALLS |= {"distributed.all_gather_object", "OmegaConf.register_new_resolver", "importlib.import_module"}
UNSAFE_NAMES = ("importlib.import_module", "importlib.util", "hydra.utils")
MOST_LINES = 400


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of all imports in a file, nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def relative(path: Path) -> str:
    return path.relative_to(NMT).as_posix()


def test_the_packages_are_those_of_the_order() -> None:
    packages = {path.parent.name for path in NMT.glob("*/__init__.py")}
    modules = {path.stem for path in NMT.glob("*.py")} - {"__init__"}
    assert set(ORDER) | FREE == packages | modules


def may_import(path: Path, package: str) -> bool:
    own = relative(path).removesuffix(".py").split("/")[0]
    if own == "__init__":  # `import nmt` offers the API, and imports it at the first use
        return package in ("api", "errors")
    return package in FREE or (own in ORDER and package in ORDER[: ORDER.index(own) + 1])


def test_a_module_imports_only_from_the_packages_above_it() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in FILES
        for name in imports(path)
        if name.startswith("nmt.") and not may_import(path, name.split(".")[1])
    ]
    assert wrong == []


def test_no_command_imports_another() -> None:
    """The only exception is a job of a cluster, which runs the train command."""
    commands = {path.stem for path in (NMT / "cli").glob("*.py")} - {"__init__"}
    wrong = [
        f"{relative(path)} imports {name}"
        for path in FILES
        for name in imports(path)
        if name.startswith("nmt.cli.") and name.split(".")[2] in commands and path.name != "cluster_job.py"
    ]
    assert wrong == []


def test_each_library_has_one_door_and_it_is_used() -> None:
    found = [(name.split(".")[0], relative(path)) for path in FILES for name in imports(path)]
    assert [pair for pair in found if not pair[1].startswith(DOORS.get(pair[0], ""))] == []
    for library, doors in DOORS.items():
        for door in doors:
            assert any(name == library and file.startswith(door) for name, file in found), (library, door)


def unsafe(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in UNSAFE_CALLS
    if isinstance(node, ast.Attribute):
        return node.attr == "_target_" or ast.unparse(node) in UNSAFE_CALLS
    return isinstance(node, ast.Constant) and node.value == "_target_"


def test_nothing_runs_code_that_it_read() -> None:
    assert not {name.split(".")[0] for path in FILES for name in imports(path)} & UNSAFE_MODULES
    wrong = [
        f"{relative(path)}: {ast.unparse(node)}" for path in FILES for node in ast.walk(tree(path)) if unsafe(node)
    ]
    assert wrong == []


def looked_up(path: Path) -> Iterator[str]:
    """Calls of `getattr` for a name that is not written there, on a module: any function could come of it."""
    modules = {name.split(".")[-1] for name in imports(path)} | {name.split(".")[0] for name in imports(path)}
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    for call in calls:
        if ast.unparse(call.func) == "getattr" and not isinstance(call.args[1], ast.Constant):
            owner = ast.unparse(call.args[0]).split(".")[0]
            yield from [ast.unparse(call)] * (owner in modules)


def test_nothing_is_imported_or_looked_up_by_a_name_that_it_read() -> None:
    assert [name for path in FILES for name in imports(path) if name.startswith(UNSAFE_NAMES)] == []
    assert [call for path in FILES for call in looked_up(path)] == []
    calls = [node for path in FILES for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {ast.unparse(node.func) for node in calls}
    assert not names & {"globals", "locals"}
    assert not [node for node in calls if any(keyword.arg == "shell" for keyword in node.keywords)]


def test_text_is_split_at_line_feeds_alone() -> None:
    assert [relative(path) for path in FILES if ".splitlines" in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_configuration_file_names_no_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "_target_" not in text
    assert "!!" not in text


def test_hydra_finds_one_plugin_here() -> None:
    assert [path.name for path in (ROOT / "hydra_plugins").rglob("*.py")] == ["nmt_launcher.py"]


def test_no_file_is_long() -> None:
    files = [path for folder in ("nmt", "hydra_plugins", "tests", "scripts") for path in (ROOT / folder).rglob("*.py")]
    lines = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert len(lines) > 50
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def loaded_by(module: str) -> set[str]:
    """All modules that a new process has once it has imported this one."""
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_preparing_starts_without_torch() -> None:
    loaded = loaded_by("nmt.cli.prepare")
    assert "sentencepiece" in loaded
    assert not loaded & {"torch", "wandb", "matplotlib", "sacrebleu"}


def test_importing_the_package_loads_no_library_and_no_part_of_it() -> None:
    names = {name.split(".")[0] for name in loaded_by("nmt") - loaded_by("typing")}
    assert names - sys.stdlib_module_names == {"nmt"}
    assert {name for name in loaded_by("nmt") if name.startswith("nmt")} == {"nmt", "nmt.errors"}


def test_the_api_starts_without_hydra() -> None:
    loaded = loaded_by("nmt.api")
    assert "torch" not in loaded
    loaded = loaded_by("nmt.api.with_torch")
    assert "torch" in loaded
    assert not loaded & {"hydra", "wandb", "matplotlib", "ignite", "comet", "pandas", "IPython"}


def test_translating_starts_without_what_it_does_not_need() -> None:
    loaded = loaded_by("nmt.cli.translate")
    assert "numpy" in loaded
    assert not loaded & {"torch", "wandb", "matplotlib", "ignite", "comet", "pandas", "IPython"}


def test_no_two_public_classes_have_the_same_name() -> None:
    files: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files.setdefault(node.name, []).append(relative(path))
    assert len(files) > 200
    assert {name: paths for name, paths in files.items() if len(paths) > 1} == {}


def test_no_two_modules_of_tests_have_the_same_name() -> None:
    """pytest imports a test module by its file name alone; the second of two in one process would not be collected."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) > 150
    assert [name for name, count in names.items() if count > 1] == []
