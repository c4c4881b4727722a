"""import_models: pretrain.init_from -> data/base/, policy.init_from -> data/policy/: checked copies of your checkpoints, if there are any

Copies, so that later stages depend on a checkpoint's content and not on the rest of data/raw/.
"""

import shutil
from pathlib import Path

from picollm.core import config, entry, files
from picollm.model.directory import INDEX, TEXTS, load_model_and_tokenizer, weight_files
from picollm.model.hub import download
from picollm.model.settings import InitFrom, PolicyFrom


def main():
    p = config.load(InitFrom, PolicyFrom)
    import_model(p.pretrain.init_from, Path("data/base"))
    import_model(p.policy.init_from, Path("data/policy"))


def import_model(init_from: str | None, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    origin = {"init_from": init_from}
    if init_from is not None:
        source = Path(init_from)
        if not source.is_dir():
            source = download(init_from)
            origin["commit"] = source.name
        load_model_and_tokenizer(source)
        (folder / "model").mkdir(parents=True)
        for path in [
            *(path for pattern in TEXTS for path in source.glob(pattern)),
            *source.glob(INDEX),
            *weight_files(source),
        ]:
            shutil.copyfile(path, folder / "model" / path.name)
    files.write_json(folder / "init_from.json", origin)


if __name__ == "__main__":
    entry.run(main)
