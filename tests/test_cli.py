import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch

from picollm import cli
from picollm.core import config
from picollm.core.errors import DataError, PicollmError
from picollm.inference.sampling import complete, sample_seed
from picollm.inference.settings import Reader, Sample
from picollm.model.directory import load_model_and_tokenizer, save_model
from picollm.stories.compose import Parts, compose
from picollm.stories.dread import dread
from picollm.stories.spec import SLOTS, parse_prompt, prompt_text
from picollm.text.tokenizer import train_bpe
from picollm.training import lock
from picollm.training.resume import State
from tests.tiny import tiny_model

ROOT = Path(__file__).parents[1]
SEEN, WITHHELD = Parts.split(1, 0.15)  # seed and stories.withheld of params.yaml
HEAVY = ("torch", "numpy", "tokenizers", "tiktoken", "safetensors", "pydantic", "datasets", "pyarrow", "matplotlib")


@pytest.fixture
def write(tmp_path, monkeypatch, capsys):
    """Call `write` in a folder that has the project's parameters (preset smoke) and a tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE", "cpu")
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    method = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert "preset: cpu " in method
    (tmp_path / "params.yaml").write_text(method.replace("preset: cpu ", "preset: smoke ", 1), encoding="utf-8")
    tokenizer = train_bpe(iter(["the cat sat on the mat"]), 270)
    model = tiny_model(vocab_size=tokenizer.vocab_size, max_position_embeddings=512)
    save_model(tmp_path / "models/dpo", model, tokenizer)
    save_model(
        tmp_path / "other", tiny_model(1, vocab_size=tokenizer.vocab_size, max_position_embeddings=512), tokenizer
    )

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["picollm", "write", *arguments])
        cli.main()
        return capsys.readouterr().out

    return call


def specification(output):
    return parse_prompt(output[: output.index("Story:\n") + 7])


@pytest.mark.parametrize("arguments", [["--help"], ["write", "--help"]])
def test_help_is_quick_for_it_imports_nothing_heavy(arguments):
    command = [sys.executable, "-X", "importtime", "-m", "picollm", *arguments]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in shown.stderr.splitlines()}
    assert shown.returncode == 0
    assert {"picollm", "argparse"} <= imported
    assert not imported & set(HEAVY)


def test_help_says_what_the_commands_are_for_and_lists_their_options():
    top, write = (
        subprocess.run([sys.executable, "-m", "picollm", *words], cwd=ROOT, capture_output=True, text=True).stdout
        for words in (["--help"], ["write", "--help"])
    )
    assert "python -m picollm" in top and "Write a horror story" in " ".join(top.split())
    assert all(f"--{slot}" in write for slot in (*SLOTS, "model", "seed"))
    assert "models/dpo" in write


@pytest.mark.parametrize("arguments", [[], ["wright"], ["write", "--seed", "x"], ["write", "--colour", "red"]])
def test_a_mistaken_command_line_shows_the_usage(arguments):
    ended = subprocess.run([sys.executable, "-m", "picollm", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("usage: python -m picollm")
    assert "Traceback" not in ended.stderr


def test_a_story_follows_its_specification_which_the_seed_decides(write):
    output = write("--seed", "3")
    assert specification(output) == compose(SEEN, Random(3))
    assert "\n(seed 3, dread " in output
    assert write("--seed", "3") == output
    assert specification(write("--seed", "4")) != specification(output)


def test_without_a_seed_a_random_one_is_printed_that_reproduces_the_story(write):
    output = write()
    seed = output.rsplit("(seed ", 1)[1].split(")")[0].split(",")[0]
    assert write("--seed", seed) == output


def drawn(prompt, seeds, folder="models/dpo", **decoding):
    """The completions of a prompt for the seeds, drawn as a reader does but for `decoding`."""
    loaded = config.load(Sample, Reader)
    model, tokenizer = load_model_and_tokenizer(folder)
    reader = Reader(**(loaded.reader.model_dump() | decoding))
    return complete(model, tokenizer, [prompt], [seeds], loaded.sample, reader, False)[0]


def test_a_story_that_is_cut_says_so_and_one_that_ended_does_not(write):
    seen = set()
    for seed in range(60):  # 16 tokens of a random model, each the end of text with a chance of about 1 in 270
        output = write("--seed", str(seed))
        prompt = prompt_text(specification(output))
        (completion,) = drawn(prompt, [seed])
        score = f"dread {dread(completion['completion']):.1f}"
        cut = "" if completion["ended"] else ", cut off at sample.max_new_tokens"
        assert output == f"{prompt}{completion['completion']}\n\n(seed {seed}, {score}{cut})\n"
        seen.add(completion["ended"])
    assert seen == {True, False}


def test_given_slots_are_in_the_specification_and_the_others_are_unchanged(write):
    random = compose(SEEN, Random(3))
    spec = specification(write("--seed", "3", "--rule", "never whistle", "--title", "The Tin Moth"))
    assert (spec.rule, spec.title) == ("never whistle", "The Tin Moth")
    assert all(getattr(spec, slot) == getattr(random, slot) for slot in SLOTS if slot not in ("rule", "title"))


def test_unseen_parts_are_used_if_asked_for(write):
    assert specification(write("--seed", "3", "--unseen")) == compose(WITHHELD, Random(3))


def test_any_prompt_is_continued_as_it_is(write):
    prompt = "The cat\n sat 'on' the mat:"
    (completion,) = drawn(prompt, [5])
    assert write("--seed", "5", "--prompt", prompt).startswith(f"{prompt}{completion['completion']}\n\n(seed 5, ")


def test_temperature_and_top_p_replace_the_readers(write):
    prompt = "the cat"
    texts = {}
    for decoding in ({"temperature": 0.0}, {"temperature": 1.0, "top_p": 1.0}, {"top_p": 0.1}, {}):
        options = [text for name, value in decoding.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        output = write("--seed", "5", "--prompt", prompt, *options)
        (completion,) = drawn(prompt, [5], **decoding)
        assert output.startswith(f"{prompt}{completion['completion']}\n\n")
        texts[completion["completion"]] = decoding
    assert len(texts) >= 3


def test_the_best_of_several_has_the_most_dread_and_the_first_is_that_of_the_seed_alone(write):
    words = " corpse blood terror murder happy grave"
    tokenizer = train_bpe(
        iter([words] * 50), 300
    )  # whose tokens are whole words, so that a random model's texts have some dread
    save_model("models/words", tiny_model(vocab_size=tokenizer.vocab_size, max_position_embeddings=512), tokenizer)
    completions = drawn(
        "the cat", [5, *(sample_seed(5, str(number)) for number in range(1, 17))], folder="models/words"
    )
    scores = [dread(completion["completion"]) for completion in completions]
    best = scores.index(max(scores))
    assert best > 0 and scores.count(max(scores)) == 1 and len(set(scores)) == 3
    options = ("--model", "models/words", "--seed", "5", "--prompt", "the cat")
    facts = f"seed 5, dread {max(scores):.1f}, the best of 17, whose mean is {sum(scores) / 17:.1f}"
    assert write(*options, "--best-of", "17").startswith(f"the cat{completions[best]['completion']}\n\n({facts}")
    assert write(*options).startswith(f"the cat{completions[0]['completion']}\n\n(seed 5, dread {scores[0]:.1f}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", "-1"], "--temperature -1.0: Input should be greater than or equal to 0"),
        (["--temperature", "1e-9"], "--temperature 1e-09: expected 0 .greedy. or at least 1e-06"),
        (["--temperature", "nan"], "--temperature nan: "),
        (["--top-p", "0"], "--top-p 0.0: Input should be greater than or equal to"),
        (["--prompt", " \n"], "--prompt: ' .n'; expected text"),
        (["--prompt", "the cat " * 600], "a prompt of .* tokens and sample.max_new_tokens"),
    ],
)
def test_what_cannot_be_drawn_is_refused(write, options, message):
    with pytest.raises(PicollmError, match=message):
        write(*options)


@pytest.mark.parametrize(
    "options", [["--prompt", "x", "--title", "y"], ["--prompt", "x", "--unseen"], ["--best-of", "0"]]
)
def test_options_that_contradict_each_other_end_in_a_usage_message(write, options, capsys):
    with pytest.raises(SystemExit) as ended:
        write(*options)
    assert ended.value.code == 2
    assert "usage: python -m picollm write" in capsys.readouterr().err


def test_every_slot_can_be_given(write):
    given = dict(zip(SLOTS, ("T", "a mill", "Ana", "Bo", "a jar", "never row", "it rained"), strict=True))
    spec = specification(write(*[word for slot, value in given.items() for word in (f"--{slot}", value)]))
    assert vars(spec) == given


def test_another_model_writes_another_story(write):
    output = write("--seed", "3")
    other = write("--seed", "3", "--model", "other")
    prompt = prompt_text(specification(output))
    assert other.startswith(prompt) and other != output


@pytest.mark.parametrize("value", ["", "  ", "two\nlines"])
def test_a_slot_that_is_not_one_line_of_text_is_refused(write, value):
    with pytest.raises(DataError, match="specification: twist"):
        write("--seed", "3", "--twist", value)


def test_a_model_that_is_not_there_is_named(write):
    with pytest.raises(PicollmError, match="models/none"):
        write("--model", "models/none")


@pytest.fixture
def states(tmp_path, monkeypatch) -> Path:
    """State of two runs: one that is left over and one whose lock this process holds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("left", "used"):
        State(tmp_path / ".resume/dpo" / name).save(5, {"weight": torch.ones(2)}, {})
    lock.acquire(tmp_path / ".resume/dpo/used/lock", blocking=False)
    return tmp_path / ".resume/dpo"


@pytest.fixture
def clean(monkeypatch, capsys):
    """Call `clean` with some options; the lines that it prints."""

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["picollm", "clean", *options])
        cli.main()
        return capsys.readouterr().out.splitlines()

    return call


def test_clean_lists_what_is_left_and_removes_all_that_no_process_uses(states, clean):
    left, used = clean()
    assert left == ".resume/dpo/left: step 5, 0.0 MB: removed"
    assert used.startswith(f".resume/dpo/used: step 5, 0.0 MB: in use by process {os.getpid()} on ")
    assert [path.name for path in states.iterdir()] == ["used"]


def test_a_dry_run_of_clean_removes_nothing(states, clean):
    assert ".resume/dpo/left: step 5, 0.0 MB: kept" in clean("--dry-run")
    assert {path.name for path in states.iterdir()} == {"left", "used"}


def test_clean_says_so_if_there_is_no_saved_state(tmp_path, monkeypatch, clean):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert clean() == [".resume: no saved state"]
