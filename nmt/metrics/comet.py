"""COMET (Rei et al. 2020), an optional dependency. This is the only module that imports comet.

COMET checkpoints are pickle files, and unpickling can execute arbitrary code. This is the only place in the project
where that could happen. Therefore only models named by the user are loaded, and PyTorch is restricted to tensors and
plain containers.
"""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from nmt.errors import UserError, first_line
from nmt.metrics.bootstrap import Score, mean_score

BATCH_SIZE = 16
WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # environment variable of torch.load that overrides its callers


class Comet:
    """COMET model, a learnt metric."""

    def __init__(self, model: str, gpu: bool) -> None:
        """Load the model.

        Args:
            model: name on the Hugging Face hub, such as Unbabel/wmt22-comet-da, or path of a `.ckpt` file.
            gpu: True to compute on a GPU.

        Raises:
            UserError: the package is not installed, or the model cannot be loaded.
        """
        try:
            from comet import download_model, load_from_checkpoint
        except ImportError as error:
            raise UserError(
                f"comet={model} needs a missing package ({error}); install it: pip install 'nmt-recurrent[comet]'"
            ) from None
        os.environ.setdefault(WEIGHTS_ONLY, "1")
        try:
            path = model if model.endswith(".ckpt") else download_model(model)
            self.model = load_from_checkpoint(path)
        except Exception as error:  # comet raises exceptions of several libraries, and bare ones
            cause = first_line(error).strip("'\"")
            refused = (
                f" (set {WEIGHTS_ONLY}=0 to unpickle it, which can execute code in it)"
                if "eights only" in cause
                else ""
            )
            raise UserError(
                f"comet={model} cannot be loaded: {cause}{refused}; check the name, the network, and whether "
                "the model requires an account"
            ) from None
        self.name = model
        self.gpu = gpu

    def __call__(
        self, src: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], labels: Mapping[str, str]
    ) -> Score:
        """Return the mean of the sentence scores, on the model's own scale, with its 95 % interval.

        There is one reference per sentence. `labels` are entries of the signature that describe the test set.
        """
        columns = zip(src, hypotheses, references, strict=True)
        samples = [{"src": source, "mt": hypothesis, "ref": reference} for source, hypothesis, reference in columns]
        prediction = self.model.predict(samples, batch_size=BATCH_SIZE, gpus=int(self.gpu), progress_bar=False)
        parts = {"nrefs": "1", **labels, "model": self.name, "library": "unbabel-comet", "version": library_version()}
        signature = "|".join(f"{key}:{value}" for key, value in parts.items())
        return mean_score([float(score) for score in prediction.scores], signature)


def library_version() -> str:
    """Return the version of the installed package, or `unknown` if it is imported from a checkout."""
    try:
        return version("unbabel-comet")
    except PackageNotFoundError:
        return "unknown"
