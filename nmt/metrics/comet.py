"""COMET (Rei et al. 2020), if it is installed. The only file that imports comet.

Its checkpoints are pickles, and to unpickle is to run whatever code they hold: the one place in this project where
that could happen. So nothing is loaded but what the user named, and torch is told to take tensors and plain containers
alone.
"""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from nmt.errors import UserError, first_line
from nmt.metrics.bootstrap import Score, score_with_interval

BATCH_SIZE = 16
WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load's own switch, over what its callers ask for


class Comet:
    """A learnt metric."""

    def __init__(self, model: str, gpu: bool) -> None:
        """
        Args:
            model: a name on the Hugging Face hub, such as Unbabel/wmt22-comet-da, or the path of a `.ckpt` file.
            gpu: whether to compute on one.

        Raises:
            UserError: the package is not installed, or the model cannot be had.
        """
        try:
            from comet import download_model, load_from_checkpoint
        except ImportError as error:
            raise UserError(
                f"comet={model} needs a package that is not here ({error}): pip install 'nmt-recurrent[comet]'"
            ) from None
        os.environ.setdefault(WEIGHTS_ONLY, "1")
        try:
            path = model if model.endswith(".ckpt") else download_model(model)
            self.model = load_from_checkpoint(path)
        except Exception as error:  # of what it calls, and bare ones of its own
            cause = first_line(error).strip("'\"")
            refused = f" (to unpickle it, code and all, set {WEIGHTS_ONLY}=0)" if "eights only" in cause else ""
            raise UserError(
                f"comet={model} cannot be loaded: {cause}{refused}; check the name, the network, and whether the "
                "model asks for an account"
            ) from None
        self.name = model
        self.gpu = gpu

    def __call__(
        self, src: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], labels: Mapping[str, str]
    ) -> Score:
        """The mean over sentences, on the model's own scale, with its 95 % interval.

        Args:
            src: source sentences.
            hypotheses: their translations.
            references: one a sentence.
            labels: what the signature says of the test set.
        """
        columns = zip(src, hypotheses, references, strict=True)
        samples = [{"src": source, "mt": hypothesis, "ref": reference} for source, hypothesis, reference in columns]
        prediction = self.model.predict(samples, batch_size=BATCH_SIZE, gpus=int(self.gpu), progress_bar=False)
        parts = {"nrefs": "1", **labels, "model": self.name, "library": "unbabel-comet", "version": installed()}
        signature = "|".join(f"{key}:{value}" for key, value in parts.items())
        statistics = [(float(score), 1.0) for score in prediction.scores]
        return score_with_interval(statistics, lambda sums: sums[0] / sums[1], signature)


def installed() -> str:
    try:
        return version("unbabel-comet")
    except PackageNotFoundError:  # run from a checkout of it
        return "unknown"
