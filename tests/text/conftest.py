from pathlib import Path

import pytest

from picollm.text.tokenizer import Tokenizer, train_bpe
from tests.texts import CORPUS


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return train_bpe(iter(CORPUS), 400)


@pytest.fixture(scope="module")
def folder(bpe, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bpe")
    bpe.save(path)
    return path
