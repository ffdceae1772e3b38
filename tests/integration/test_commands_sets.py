"""Further test sets with the real commands: trained, then published, scored by `splits=all`, and put into a table."""

from pathlib import Path

import pytest
from command import SMALL, call, refused
from downloaded_corpus import LATER, write_files
from file_server import serving

pytestmark = pytest.mark.commands
ORIGINAL = ("train", "val", "test_2016_flickr")


def data_file(url: str, digests: dict[str, str]) -> str:
    """Return a data configuration with one further test set per name in `LATER`."""
    files = "{{src: [raw/{0}.en.gz], tgt: [raw/{0}.de.gz]}}"
    sets = zip(("train", "valid", "test"), ORIGINAL, strict=True)
    lines = ["name: captions", *(f"{split}: {files.format(name)}" for split, name in sets)]
    lines += ["tests:", *(f"  {name}: {files.format(name)}" for name in LATER)]
    lines += ["tokenizer: {vocab_size: 120}", "download:", f"  url: {url}", "  sha256:"]
    return "\n".join([*lines, *(f"    {path}: {digest}" for path, digest in digests.items()), ""])


def test_sets_published_after_training_are_scored_and_tabulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))
    digests = write_files(tmp_path / "elsewhere", (*ORIGINAL, *LATER))
    write_files(tmp_path / "site", ORIGINAL)
    small = [word for word in SMALL if not word.startswith(("experiment", "data."))]
    with serving(tmp_path / "site") as (url, requests):
        (tmp_path / "own" / "data").mkdir(parents=True)
        (tmp_path / "own" / "data" / "captions.yaml").write_text(data_file(url, digests), encoding="utf-8")
        for seed in (1, 2):
            words = ["model=lstm_tiny", "data=captions", "train.max_steps=10", f"seed={seed}", *small]
            call("train", "--config-dir=own", *words, f"hydra.run.dir=runs/{seed}", cwd=tmp_path)
        message = refused("evaluate", "run=runs/1", f"split={LATER[0]}", cwd=tmp_path)
        assert "404" in message
        assert "data.mirror=FOLDER" in message
        write_files(tmp_path / "site", LATER)
        output, _ = call("evaluate", "run=runs/1", "splits=all", cwd=tmp_path)
        assert [line for line in output.split("\n") if line.endswith("sentences:")] == [
            f"{name}, 6 sentences:" for name in ("test", *LATER)
        ]
        requests.clear()
        call("evaluate", "run=runs/2", "splits=all", "data.mirror=elsewhere", cwd=tmp_path)
        assert requests == []
    output, _ = call("table", "runs/1", "runs/2", "output=table", cwd=tmp_path)
    assert "BLEU, captions en-de" in output
    text = (tmp_path / "table" / "table.md").read_text(encoding="utf-8")
    assert "| system | seeds | test\\_2016\\_flickr | test\\_2017\\_flickr | test\\_2018\\_flickr |" in text
    assert "| 1 2 |" in text
    assert "smooth:exp" in text
    assert (tmp_path / "table" / "table.tex").read_text(encoding="utf-8").count(r"\toprule") == 1
