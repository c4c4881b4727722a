"""Import of a user's base checkpoint: checked, then copied to a DVC output."""

import shutil
from pathlib import Path

from picollm.core import files
from picollm.core.errors import ParamsError
from picollm.model.directory import load_model_and_tokenizer

RAW = Path("data/raw")
PATTERNS = ("config.json", "generation_config.json", "tokenizer*.json", "*.safetensors", "*.index.json")


def import_base(init_from: str | None, folder: Path) -> None:
    """Check the base checkpoint `init_from` and copy it to `folder`/model; without one write only `folder`/init_from.json.

    A copy, so that later stages depend on the checkpoint's content and not on the rest of data/raw/. Raises ParamsError
    for a path outside data/raw/ and CheckpointError or TokenizerError for a directory that cannot be used.
    """
    if folder.exists():
        shutil.rmtree(folder)
    if init_from is not None:
        source = Path(init_from)
        if RAW.resolve() not in source.resolve().parents:
            raise ParamsError(
                f"pretrain.init_from: {init_from}: expected a directory in {RAW}/, whose content DVC tracks; copy it there"
            )
        load_model_and_tokenizer(source)
        (folder / "model").mkdir(parents=True)
        for pattern in PATTERNS:
            for path in sorted(source.glob(pattern)):
                shutil.copyfile(path, folder / "model" / path.name)
    files.write_json(folder / "init_from.json", {"init_from": init_from})
