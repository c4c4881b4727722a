"""Read and write model directories: config.json, model.safetensors, generation_config.json and the tokenizer's files.

The format is that of Hugging Face: transformers, TRL and vLLM read it as it is, llama.cpp after a conversion to GGUF. Nothing is
unpickled.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from picollm.core import files
from picollm.core.errors import CheckpointError, DataError, shown
from picollm.model.config_json import CONFIG, config_json, generation_json, read_config
from picollm.model.settings import MAX_PARAMETERS
from picollm.model.transformer import Transformer
from picollm.text.tokenizer import Tokenizer, load_tokenizer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TEXTS = ("config.json", "generation_config.json", "tokenizer*.json")  # what is read of a directory beside the weights
FLOATS = {"F64", "F32", "F16", "BF16"}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
HASH = re.compile(r"[0-9a-f]{30,64}")  # name of a file in the caches of DVC and of the Hugging Face hub


def load_model(folder: str | Path) -> Transformer:
    """The model of a directory, in float32 on the CPU. Raises CheckpointError naming the file and the tensor."""
    folder = Path(folder)
    _refuse_outside_links(folder)
    config = read_config(folder)
    if (parameters := config.parameter_count()) > MAX_PARAMETERS:
        raise CheckpointError(
            f"{folder / CONFIG}: vocab_size, hidden_size, intermediate_size and num_hidden_layers give {parameters:,} "
            f"parameters; expected at most {MAX_PARAMETERS:,}"
        )
    with torch.device("meta"):
        empty = Transformer(config)
    expected = {name: tuple(tensor.shape) for name, tensor in empty.state_dict().items()}
    state = {}
    for path in weight_files(folder):
        state |= _read_tensors(path, expected)
    if config.tie_word_embeddings:
        _tie(state, folder)
    missing = [name for name in expected if name not in state]
    if missing:
        raise CheckpointError(
            f"{folder}: tensor {missing[0]} is missing ({len(missing)} of {len(expected)} are missing)"
        )
    model = Transformer(config)
    model.load_state_dict(state)
    return model


def _tie(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Tie embedding and head, stored under either name or both (safetensors' save_model keeps one)."""
    stored = [state[name] for name in (EMBEDDING, HEAD) if name in state]
    if len(stored) == 2 and not torch.equal(*stored):
        raise CheckpointError(
            f"{folder}: {HEAD} differs from {EMBEDDING}, but {CONFIG} says tie_word_embeddings: true; expected equal "
            "tensors, or tie_word_embeddings: false"
        )
    if stored:
        state[EMBEDDING] = state[HEAD] = stored[0]


def load_model_and_tokenizer(folder: str | Path) -> tuple[Transformer, Tokenizer]:
    """Model and tokenizer of a directory. Raises CheckpointError if it does not exist or if the tokenizer has more tokens than the
    model."""
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: no such directory; expected a model directory, which `dvc repro` writes to models/"
        )
    _refuse_outside_links(folder)
    vocab_size = read_config(folder).vocab_size  # which may be padded above the tokenizer's
    tokenizer = load_tokenizer(folder)
    if vocab_size < tokenizer.vocab_size:
        raise CheckpointError(
            f"{folder / CONFIG}: vocab_size is {vocab_size}; expected at least {tokenizer.vocab_size}, the tokens of the tokenizer"
        )
    return load_model(folder), tokenizer


def save_model(folder: str | Path, model: Transformer, tokenizer: Tokenizer) -> None:
    """Write a model directory atomically: into a temporary directory beside `folder`, which then replaces it."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(stale)  # left by a process that was killed while writing
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    draft.chmod(0o755)
    try:
        files.write_json(draft / CONFIG, config_json(model.config, tokenizer))
        files.write_json(draft / "generation_config.json", generation_json(model.config, tokenizer))
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        if model.config.tie_word_embeddings:
            del state[HEAD]
        save_file(state, draft / WEIGHTS, metadata={"format": "pt"})
        tokenizer.save(draft)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _refuse_outside_links(folder: Path) -> None:
    """Raise CheckpointError for a link that leaves the directory: a download could use it to have other files read or copied."""
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith((".json", ".safetensors")) and _links_outside(folder / name):
            raise CheckpointError(f"{folder / name}: links to a file outside its directory; put the file itself there")


def _links_outside(path: Path) -> bool:
    """Whether `path` links to a file outside its directory, other than a cache's (HASH)."""
    target = Path(os.path.realpath(path))
    inside = Path(os.path.realpath(path.parent)) in target.parents
    return path.is_symlink() and not inside and not HASH.fullmatch(target.name)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a directory: model.safetensors, or those named in its index."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        raise CheckpointError(f"{folder / WEIGHTS}: no such file; expected a Hugging Face model directory")
    try:
        content = files.read_json(index)
    except DataError as error:
        raise CheckpointError(str(error)) from None
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    names = list(weight_map.values()) if isinstance(weight_map, dict) else [None]
    beside = {path.name for path in folder.iterdir() if path.is_file() and not _links_outside(path)}
    for name in names:
        if not isinstance(name, str) or name not in beside:
            raise CheckpointError(f"{index}: weight_map: {shown(name)} is not a file of this directory")
    return [folder / name for name in sorted(set(names))]


def _read_tensors(path: Path, expected: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The tensors of one file, in float32; names, shapes and types are checked before any data is read."""
    state = {}
    try:
        with safe_open(path, framework="pt") as reader:
            for name in sorted(reader.keys()):
                if name not in expected:
                    if name.endswith("rotary_emb.inv_freq"):
                        continue  # stored by old versions of transformers; computed from the config here
                    raise CheckpointError(f"{path}: unexpected tensor {name:.200}; this model has none of that name")
                view = reader.get_slice(name)
                shape, dtype = tuple(view.get_shape()), view.get_dtype()
                if shape != expected[name]:
                    raise CheckpointError(
                        f"{path}: tensor {name} has shape {shown(shape)}; expected {expected[name]} from {CONFIG}"
                    )
                if dtype not in FLOATS:
                    raise CheckpointError(f"{path}: tensor {name} has type {dtype}; expected one of {sorted(FLOATS)}")
                state[name] = reader.get_tensor(name).float()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a complete safetensors file: {error!s:.300}") from None
    except (RuntimeError, MemoryError) as error:  # torch and safetensors raise these if memory runs out
        raise CheckpointError(f"{path}: does not fit into memory: {error!s:.300}") from None
    return state
