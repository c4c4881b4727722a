import json
import shutil
from pathlib import Path

import pytest

from picollm.core import files
from picollm.core.errors import CheckpointError
from picollm.model.directory import save_model
from picollm.records.jsonl import PreferenceRecord
from picollm.text.tokenizer import train_bpe
from stages import candidates
from stages.candidates import initial_policy
from tests.tiny import tiny_model

ROOT = Path(__file__).parent.parent

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


def test_an_imported_policy_that_stops_at_other_tokens_is_refused(tmp_path):
    policy = put(tmp_path / "round1")
    (policy / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 5]}))
    with pytest.raises(CheckpointError, match="another tokenizer than"):
        initial_policy(policy, put(tmp_path / "sft"))


def test_pairs_of_the_policy_are_samples_of_the_imported_policy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "presets", "presets")
    method = (
        (ROOT / "params.yaml").read_text().replace("source: templates        # templates | policy", "source: policy  #")
    )
    Path("params.yaml").write_text(method.replace("preset: cpu ", "preset: smoke "))
    preset = Path("presets/smoke.yaml")
    preset.write_text(preset.read_text().replace("max_new_tokens: 16", "max_new_tokens: 200"))
    tokenizer = train_bpe(iter(["the corpse bled in the dark, the happy sun sang of love and death"] * 4), 300)
    shape = {"vocab_size": tokenizer.vocab_size, "max_position_embeddings": 256}
    save_model("models/sft", tiny_model(seed=1, **shape), tokenizer)
    save_model("alone/data/policy/model", tiny_model(seed=2, **shape), tokenizer)
    rows = [
        PreferenceRecord(f"pair-{n}", f"Tell {n}.", f"Tell {n}.", "a", "b", 1.0, 0.0, 0.9, "contrast").to_dict()
        for n in range(40)
    ]
    for split in ("train", "validation"):
        files.write_jsonl(f"data/preferences/{split}.jsonl", rows)

    def drawn(policy):
        """data/pairs/train.jsonl with `policy`, if any, as the imported one."""
        shutil.rmtree("data/policy", ignore_errors=True)
        if policy:
            shutil.copytree(policy, "data/policy")
        candidates.main()
        return Path("data/pairs/train.jsonl").read_text()

    of_sft, of_imported = drawn(None), drawn("alone/data/policy")
    assert of_sft != of_imported
    # The same samples as those of an SFT model with the imported policy's weights.
    shutil.copytree("alone/data/policy/model", "models/sft", dirs_exist_ok=True)
    assert drawn(None) == of_imported
