"""Test sets that a corpus's own file in conf/data names, and the location of their files on this machine."""

from dataclasses import replace
from pathlib import Path

from omegaconf import OmegaConf

from nmt.config.conversion import from_hydra
from nmt.config.data import CorpusLocation, DataConfig
from nmt.config.paths import description_path
from nmt.errors import UserError


def with_described_tests(data: DataConfig) -> DataConfig:
    """Return the corpus of a run with the further test sets of `conf/data/NAME.yaml`, if the run names none.

    Runs of older versions name none. The file's test sets are used only if it downloads the same version of the corpus
    from the same address.
    """
    path = description_path(data.name)
    if data.tests or data.download is None or path is None:
        return data
    languages = {"src_lang": data.src_lang, "tgt_lang": data.tgt_lang}
    described = OmegaConf.merge(OmegaConf.load(Path(path)), languages)
    tree = OmegaConf.to_container(OmegaConf.create({"data": described}), resolve=True)
    assert isinstance(tree, dict)
    tree["data"].pop("defaults", None)
    shipped = from_hydra(DataConfig, tree["data"], prefix="data.")
    if shipped.download is None or shipped.download.url != data.download.url:
        return data
    digests = shipped.download.sha256 | data.download.sha256
    return replace(data, tests=shipped.tests, download=replace(data.download, sha256=digests))


def with_location(data: DataConfig, location: CorpusLocation) -> DataConfig:
    """Return the corpus of a run with the locations that the command line gives.

    Raises:
        UserError: the corpus has no such location.
    """
    if location.root is not None and data.root is None:
        raise UserError("data.root is given, but the run's corpus has no folder; give data.mirror for a download")
    if location.mirror is not None and data.download is None:
        raise UserError("data.mirror is given, but the run's corpus is not downloaded; give data.root for its folder")
    return replace(
        data,
        root=location.root or data.root,
        mirror=location.mirror or data.mirror,
        cache=location.cache or data.cache,
    )
