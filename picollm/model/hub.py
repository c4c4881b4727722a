"""Checkpoints of the Hugging Face hub."""

from pathlib import Path

from picollm.core.errors import CheckpointError
from picollm.model.config_json import read_config
from picollm.model.directory import TEXTS
from picollm.model.settings import HUB_ID

WEIGHTS = ("*.safetensors", "*.index.json")
SKIPPED = ["*/*", "consolidated*"]  # files in folders, and Mistral's second copy of the weights


def download(hub_id: str) -> Path:
    """The directory of ORG/NAME@REVISION in the hub's cache, named by its commit; downloaded unless it is there.

    The variables of huggingface_hub apply: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE. Raises CheckpointError if the hub cannot be
    reached and the cache lacks it, if there is no such repository or revision, or, before its weights are downloaded, for an
    architecture that is not supported.
    """
    from huggingface_hub import errors, snapshot_download  # takes long to import, and hardly any run needs it

    repository, revision = HUB_ID.fullmatch(hub_id).groups()

    def fetch(*patterns: str) -> Path:
        # Of the library's own errors; OSError holds those of the disk and of the cache, HTTPError those of the network.
        try:
            folder = snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), ignore_patterns=SKIPPED
            )
        except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{hub_id}: cannot be downloaded ({type(error).__name__}: {' '.join(str(error).split()):.300}). Expected "
                "ORG/NAME@REVISION of a model of the Hugging Face hub, which needs the network (and HF_TOKEN, if it is gated), or "
                "which is in the hub's cache already"
            ) from None
        return Path(folder)

    read_config(fetch(*TEXTS))
    return fetch(*TEXTS, *WEIGHTS)
