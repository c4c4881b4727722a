"""import_models: pretrain.init_from -> data/base/, policy.init_from -> data/policy/: checked copies of your checkpoints, if there are any

Copies, so that later stages depend on a checkpoint's content and not on the rest of data/raw/.
"""

import shutil
from pathlib import Path

from picollm.core import config, entry, files
from picollm.model.directory import load_model_and_tokenizer
from picollm.model.settings import InitFrom, PolicyFrom

PATTERNS = ("config.json", "generation_config.json", "tokenizer*.json", "*.safetensors", "*.index.json")


def main():
    p = config.load(InitFrom, PolicyFrom)
    import_model(p.pretrain.init_from, Path("data/base"))
    import_model(p.policy.init_from, Path("data/policy"))


def import_model(init_from: str | None, folder: Path) -> None:
    if init_from is not None:
        load_model_and_tokenizer(init_from)
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(path for pattern in PATTERNS for path in Path(init_from).glob(pattern)) if init_from else []:
        (folder / "model").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "model" / path.name)
    files.write_json(folder / "init_from.json", {"init_from": init_from})


if __name__ == "__main__":
    entry.run(main)
