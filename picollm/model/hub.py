"""Checkpoints of the Hugging Face hub: ORG/NAME@REVISION."""

import re
from pathlib import Path

from picollm.core.errors import CheckpointError

HUB_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
PATTERNS = ("config.json", "generation_config.json", "tokenizer*.json", "*.safetensors", "*.index.json")
SKIPPED = ["*/*", "consolidated*"]  # files in folders, and Mistral's second copy of the weights


def download(hub_id: str) -> Path:
    """The directory of a checkpoint in the hub's cache, named by its commit; downloaded unless it is there.

    The variables of huggingface_hub apply: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_OFFLINE. Raises CheckpointError if the hub cannot be
    reached and the cache lacks it, or if there is no such repository or revision.
    """
    from huggingface_hub import errors, snapshot_download  # takes long to import, and hardly any run needs it

    repository, revision = HUB_ID.fullmatch(hub_id).groups()
    # Of the library's own errors; OSError holds those of the disk and of the cache, HTTPError those of the network.
    try:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=list(PATTERNS), ignore_patterns=SKIPPED)
        )
    except (errors.HTTPError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{hub_id}: cannot be downloaded ({type(error).__name__}: {' '.join(str(error).split()):.300}). Expected ORG/NAME@REVISION "
            "of a model of the Hugging Face hub, which needs the network (and HF_TOKEN, if it is gated), or which is in the hub's "
            "cache already"
        ) from None
