"""import_base: pretrain.init_from -> data/base/, a checked copy of the base checkpoint, if there is one"""

from pathlib import Path

from picollm.core import config, entry
from picollm.model.base import import_base
from picollm.model.settings import InitFrom


def main():
    p = config.load(InitFrom)
    import_base(p.pretrain.init_from, Path("data/base"))


if __name__ == "__main__":
    entry.run(main)
