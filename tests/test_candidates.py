import json

import pytest

from picollm.core.errors import CheckpointError
from picollm.model.directory import save_model
from picollm.text.tokenizer import train_bpe
from stages.candidates import initial_policy
from tests.tiny import tiny_model

TEXT = "the cat sat on the mat"


def put(folder, text=TEXT, **shape):
    tokenizer = train_bpe(iter([text]), 270)
    save_model(folder, tiny_model(vocab_size=270, **shape), tokenizer)
    return folder


def test_without_an_imported_policy_dpo_starts_from_the_sft_model(tmp_path):
    assert initial_policy(tmp_path / "none", put(tmp_path / "sft")) == tmp_path / "sft"


def test_an_imported_policy_takes_the_place_of_the_sft_model(tmp_path):
    assert initial_policy(put(tmp_path / "round1"), put(tmp_path / "sft")) == tmp_path / "round1"


def test_the_same_tokenizer_written_otherwise_is_accepted(tmp_path):
    policy = put(tmp_path / "round1")
    content = json.loads((policy / "tokenizer.json").read_text())
    (policy / "tokenizer.json").write_text(json.dumps(content, indent=7))
    assert initial_policy(policy, put(tmp_path / "sft")) == policy


def test_an_imported_policy_of_another_shape_is_refused(tmp_path):
    policy = put(tmp_path / "round1", num_hidden_layers=1)
    with pytest.raises(
        CheckpointError, match=r"policy\.init_from: .*round1: another shape than .*sft; expected a policy"
    ):
        initial_policy(policy, put(tmp_path / "sft"))


def test_an_imported_policy_with_another_tokenizer_is_refused(tmp_path):
    policy = put(tmp_path / "round1", text="a dog lay by the door")
    with pytest.raises(CheckpointError, match=r"policy\.init_from: .*round1: another tokenizer than .*sft; expected"):
        initial_policy(policy, put(tmp_path / "sft"))
