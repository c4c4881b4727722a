"""The whole chain under DVC, in a fresh Git repository, with preset smoke: the nearest thing to a user's first hour."""

import json
import shutil
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file

from picollm.evaluation.metrics import HEADLINE
from picollm.model.directory import save_model
from picollm.text.tokenizer import load_tokenizer
from tests.project import AFTER_DPO, STAGES, make_project
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("project"))
    assert project.ran(project.run("dvc", "repro")) == STAGES
    project.commit("first run")
    return project


def test_a_second_repro_runs_nothing_and_git_is_clean(project):
    assert project.ran(project.run("dvc", "repro")) == set()
    assert project.run("git", "status", "--porcelain") == ""


def test_git_tracks_the_metrics_and_figures_and_no_model_or_data(project):
    tracked = project.run("git", "ls-files").split()
    assert {"metrics/eval.json", "plots/curves.png", "plots/sft/monitor.csv", "dvc.lock"} <= set(tracked)
    assert [
        path for path in tracked if path.startswith(("models/", "data/")) and not path.startswith("data/raw/")
    ] == []


def test_a_run_forced_again_leaves_every_hash_as_it_was(project):
    project.run("dvc", "repro", "-f", "--single-item", "pretrain")
    project.run("dvc", "repro", "-f", "--single-item", "dpo")
    assert project.run("git", "status", "--porcelain") == ""


def test_a_new_beta_reruns_dpo_and_what_follows_alone(project):
    output = project.run("dvc", "exp", "run", "-S", "dpo.beta=0.2", "-n", "beta")
    assert project.ran(output) == {"check", *AFTER_DPO}
    difference = project.run("dvc", "metrics", "diff", "HEAD", "beta")
    assert "dpo.kl" in difference and "sft." not in difference
    project.reset()


@pytest.mark.parametrize(
    ("change", "untouched"),
    [
        ("preferences.seed=2", {"tokenize", "pretrain", "sft", "sample@base", "sample@sft", "score@base", "score@sft"}),
        ("sft.mix.dark=0.9", {"tokenize", "pretrain"}),
    ],
)
def test_new_data_for_a_later_stage_reruns_no_earlier_one(project, change, untouched):
    output = project.run("dvc", "exp", "run", "--temp", "-S", change)
    assert "make_datasets" in project.ran(output)
    assert not project.ran(output) & untouched


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("dpo.beta=abc", "dpo.beta: 'abc': Input should be a valid number"),
        ("dpo.beta=0", "dpo.beta: 0: Input should be greater than 0"),
        ("pretrain.init_from=elsewhere", "pretrain.init_from: 'elsewhere': expected a directory in data/raw/"),
        ("policy.init_from=elsewhere", "policy.init_from: 'elsewhere': expected a directory in data/raw/"),
        ("corpus.source=files", "corpus.files: no file matches"),
    ],
)
def test_a_wrong_setting_ends_with_a_message_and_no_traceback(project, change, message):
    output = project.run("dvc", "exp", "run", "--temp", "-S", change, ok=False)
    assert message in output
    assert "Traceback" not in output


def test_a_wrong_setting_of_the_last_stage_stops_the_first_before_any_output_is_touched(project):
    before = project.hashes()
    project.replace("beta: 0.65", "beta: -1")
    output = project.run("dvc", "repro", ok=False)
    assert "dpo.beta: -1: Input should be greater than 0" in output
    assert project.ran(output) == {"check"}
    del before["data/checked.txt"]
    assert project.hashes() == before
    project.reset()


LONG = "a word and " * 400


@pytest.mark.parametrize(
    ("file", "row", "key", "named"),
    [
        ("sft_test.jsonl", {"prompt": "p", "response": LONG}, "sft", "data/raw/sft_test.jsonl:1: prompt and response"),
        ("sft_test.jsonl", {"prompt": LONG, "response": "r"}, "sft", "sft_test.jsonl:1: a prompt of"),
        (
            "preferences_test.jsonl",
            {"prompt": "p", "chosen": "a", "rejected": LONG},
            "preferences",
            "data/raw/preferences_test.jsonl:1: prompt and response",
        ),
    ],
)
def test_a_row_that_is_too_long_stops_the_run_before_anything_is_trained(project, file, row, key, named):
    for split in ("train", "val", "test"):
        path = project.folder / "data/raw" / file.replace("test", split)
        rows = [row] if split == "test" else []
        rows += [{**row, **{name: f"{split} {name}" for name in row}}]
        path.write_text("\n".join(map(json.dumps, rows)))
    try:
        monitor = ("-S", "sft.monitor=null") if key == "sft" else ()
        output = project.run("dvc", "exp", "run", "-S", f"{key}.source=jsonl", *monitor, ok=False)
    finally:
        project.reset()
    assert named in output
    assert "check_lengths" in project.ran(output) and "pretrain" not in project.ran(output)


def test_evaluation_has_every_number_that_it_promises(project):
    details = json.loads((project.folder / "metrics/details/eval.json").read_text())
    assert project.metrics() == {key: details[name] for key, name in HEADLINE.items() if name in details}
    texts = {"dread", "reward", "length", "ended", "adherence", "derived"}, {"distinct_2", "repetition"}
    for model in ("base", "sft", "dpo"):
        plain, with_interval = {f"{model}.sft_loss", f"{model}.bits_per_byte"}, set()
        for split in ("test", "unseen"):
            measures, ranged = {"ceiling"} | texts[1] | {f"reader_{name}" for name in texts[1]}, {"pref_acc"}
            ranged |= texts[0] | {f"reader_{name}" for name in texts[0]}
            if model != "sft":
                measures, ranged = measures | {"kl_per_token"}, ranged | {"kl", "win_rate"}
            if model == "dpo":
                measures |= {"margin", "calibration_slope", "calibration_target", "calibration_kl"}
                measures |= {"length_slope", "length_slope_target", "length_share_target"}
                ranged |= {"reward_acc", "calibration", "length_share"} | (
                    {"gain", "rank_correlation"} if split == "test" else set()
                )
            if model == "sft" and split == "test":
                ranged |= {"best_of_2", "best_of_4"}
            plain |= {f"{model}.{split}.{name}" for name in measures}
            with_interval |= {f"{model}.{split}.{name}" for name in ranged}
        expected = plain | {f"{name}{end}" for name in with_interval for end in ("", "_low", "_high")}
        found = {key for key in details if key.startswith(f"{model}.") and key.count(".") < 3}
        # The samples of these models have hardly any dread: the optimum, the ends of the gain's interval and rank correlations
        # need not be known.
        sometimes = ("dpo.test.kl_efficiency", "dpo.test.regret", "dpo.test.gain_", "dpo.test.rank_correlation")
        assert {key for key in found ^ expected if not key.startswith(sometimes)} == set()
    assert all(isinstance(value, float) for value in details.values())


def test_a_verdict_on_an_experiment_reads_both_from_the_cache(project):
    project.run("dvc", "exp", "run", "-S", "dpo.lr=1e-3", "-n", "strong")
    project.reset()
    output = project.run(sys.executable, "-m", "picollm", "verdict", "strong").splitlines()
    assert output[0].startswith("strong against HEAD: 4 test prompts, 2 samples each")
    assert [line.split()[0] for line in output[2:9]] == [
        *("gain", "KL,", "kl_efficiency", "reward", "adherence", "ended", "reward")
    ]
    assert output[9].startswith(("Better", "Worse", "Cannot tell"))
    assert project.run(sys.executable, "-m", "picollm", "verdict").endswith("Equal: nothing differs.\n")
    unknown = project.run(sys.executable, "-m", "picollm", "verdict", "nonesuch", ok=False)
    assert unknown.startswith("error: nonesuch: ") and "expected a Git revision or the name of an exp" in unknown


def test_a_seed_of_dpo_reruns_dpo_alone_and_changes_it(project):
    output = project.run("dvc", "exp", "run", "-S", "dpo.seed=2", "-n", "seed2")
    assert project.ran(output) == {"check", *AFTER_DPO}
    assert "metrics/eval.json  dpo.kl " in project.run("dvc", "metrics", "diff", "HEAD", "seed2")
    project.reset()


def test_snapshots_are_tracked_and_the_last_has_the_kl_of_the_model_that_is_kept(project):
    output = project.run("dvc", "exp", "run", "-S", "dpo.snapshots=2")
    assert project.ran(output) == {"check", "dpo", "track", "evaluate", "plot"}
    lines = (project.folder / "metrics/details/track.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    steps = json.loads((project.folder / "models/snapshots/steps.json").read_text())
    assert len(steps) == 2 and [int(row["step"]) for row in rows] == steps
    best = json.loads((project.folder / "metrics/details/dpo.json").read_text())["best_step"]
    (kept,) = (row for row in rows if int(row["step"]) == best)
    assert float(kept["kl"]) == project.metrics()["dpo.kl"]
    project.reset()


def test_a_second_round_starts_from_the_imported_policy_and_leaves_the_sft_model_alone(project):
    first = project.folder / "data/raw/round1"
    # The base model has the SFT model's shape and tokenizer, and is far from it.
    shutil.copytree(project.folder / "models/base", first)
    output = project.run("dvc", "exp", "run", "-S", "policy.init_from=data/raw/round1")
    assert {"import_models", "candidates", "reference", *AFTER_DPO} <= project.ran(output)
    untouched = {"tokenize", "pretrain", "sft", "sample@base", "sample@sft", "score@base", "score@sft"}
    assert not project.ran(output) & untouched
    start = (first / "model.safetensors").read_bytes()
    assert (project.folder / "models/initial/model.safetensors").read_bytes() == start
    assert (project.folder / "models/dpo/model.safetensors").read_bytes() != start
    assert "dpo.calibration" not in project.metrics()
    shutil.rmtree(first)
    project.reset()


@pytest.mark.parametrize(
    ("change", "stages"), [("dpo.kl_weight=0.5", set()), ("dpo.temporal_decay=0.9", {"reference"})]
)
def test_a_term_of_the_objective_reruns_dpo_and_a_temporal_decay_the_reference_too(project, change, stages):
    before = project.metrics()
    output = project.run("dvc", "exp", "run", "-S", change)
    # Where no step improves, the kept policy is the initial one, whose samples DVC may have from an earlier experiment.
    assert {"dpo"} | stages <= project.ran(output) <= {"check", *AFTER_DPO} | stages
    assert project.metrics()["dpo.kl"] != before["dpo.kl"]
    assert ("dpo.calibration" in project.metrics()) == (not stages)
    project.reset()


def test_adapters_are_merged_into_the_model_and_kept_beside_it(project):
    changes = [f"{stage}.lora={{rank: 2, alpha: 6, targets: [q_proj, down_proj]}}" for stage in ("sft", "dpo")]
    changes += ["dpo.kl_weight=0.1", "sft.lr=0.02"]
    output = project.run("dvc", "exp", "run", *(f"--set-param={change}" for change in changes))
    assert "sft" in project.ran(output) and "pretrain" not in project.ran(output)
    for name, base in (("sft", "base"), ("dpo", "initial")):
        before, after = (load_file(project.folder / f"models/{model}/model.safetensors") for model in (base, name))
        adapter, moved = load_file(project.folder / f"models/{name}/adapter/adapter_model.safetensors"), 0
        for key, weight in before.items():
            prefix = f"base_model.model.{key.removesuffix('.weight')}.lora"
            first, second = (adapter.pop(f"{prefix}_{side}.weight", torch.zeros(1, 1)) for side in "AB")
            assert torch.allclose(after[key], weight + 3 * second @ first, atol=1e-6), key
            moved += bool(second.any())
        assert not adapter
        assert moved == 4 or name == "dpo"  # of which so short a run may keep the first weights
    project.reset()


def test_a_base_without_bos_goes_through_every_stage_in_its_own_architecture(project):
    base = project.folder / "data/raw/qwen"
    vocabulary = json.loads((project.folder / "models/base/config.json").read_text())["vocab_size"]
    model = tiny_model(model_type="qwen3", vocab_size=vocabulary, max_position_embeddings=1024)
    save_model(base, model, load_tokenizer(project.folder / "models/base"))
    config = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": None}))
    output = project.run("dvc", "exp", "run", "-S", "pretrain.init_from=data/raw/qwen")
    assert {"import_models", "tokenize", "pretrain", "sft", *AFTER_DPO} <= project.ran(output)
    for name in ("base", "sft", "dpo"):
        described = json.loads((project.folder / f"models/{name}/config.json").read_text())
        assert (described["model_type"], described["bos_token_id"]) == ("qwen3", None)
    shutil.rmtree(base)
    project.reset()


def test_more_samples_of_the_policy_draw_none_of_the_reference_again(project):
    output = project.run("dvc", "exp", "run", "--temp", "-S", "presets/smoke.yaml:sample.dpo_samples=3")
    assert project.ran(output) == {"check", "sample@dpo", "score@dpo", "track", "evaluate", "plot"}


def test_the_models_load_in_transformers(project):
    transformers = pytest.importorskip("transformers")
    for name in ("base", "sft", "dpo"):
        transformers.AutoModelForCausalLM.from_pretrained(project.folder / "models" / name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(project.folder / "models" / name)
        assert tokenizer.eos_token == "<|endoftext|>"


def test_write_prints_the_given_slots_and_a_story_that_the_seed_decides(project):
    command = (sys.executable, "-m", "picollm", "write", "--seed", "3", "--protagonist", "Nadia")
    first = project.run(*command)
    assert "Protagonist: Nadia\n" in first
    assert first == project.run(*command)
    assert first != project.run(*command[:-4], "--seed", "4", "--protagonist", "Nadia")


def test_plots_show_draws_every_declared_series(project):
    output = project.run("dvc", "plots", "show", "-o", "html")
    page = (project.folder / "html/index.html").read_text()
    assert "WARNING" not in output
    for series in (
        "logps/chosen",
        "logps/rejected",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/accuracies",
        "bits_per_byte",
    ):
        assert series in page
    shutil.rmtree(project.folder / "html")


# What a change of code makes out of date. `dvc status` names the stages whose own deps changed; what follows from them is added,
# but for what only waits for a check, whose output never changes.

CHECKS = {"check", "check_lengths"}


def edges(project) -> dict[str, set[str]]:
    """Stage -> the stages that read one of its outputs."""
    outs, deps = {}, {}
    for name, stage in yaml.safe_load((project.folder / "dvc.yaml").read_text())["stages"].items():
        for model in stage.get("matrix", {}).get("model", [None]):
            paths = {
                key: [
                    (entry if isinstance(entry, str) else next(iter(entry))).replace("${item.model}", str(model))
                    for kind in kinds
                    for entry in stage.get(kind, [])
                ]
                for key, kinds in (("deps", ["deps"]), ("outs", ["outs", "plots", "metrics"]))
            }
            full = f"{name}@{model}" if model else name
            deps[full], outs[full] = paths["deps"], paths["outs"]
    inside = lambda a, b: a == b or a.startswith(f"{b}/") or b.startswith(f"{a}/")  # noqa: E731
    return {
        name: {other for other in deps if any(inside(out, dep) for out in outs[name] for dep in deps[other])}
        for name in outs
    }


def out_of_date(project) -> set[str]:
    """What `dvc repro` would have to run, the checks aside."""
    followers = edges(project)
    found, waiting = set(), set(json.loads(project.run("dvc", "status", "--json")))
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set() if name in CHECKS else followers[name] - found
    return found - CHECKS


AFTER_SFT = {"candidates", "reference", "dpo", "track", "evaluate", "plot"}
AFTER_SFT |= {stage for stage in STAGES if stage.startswith(("sample@sft", "sample@dpo", "score"))}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("picollm/preference/losses/margin.py", AFTER_DPO | {"track"}),
        ("picollm/preference/settings.py", AFTER_DPO | {"track"}),
        # Unless preferences.source is policy, candidates writes the same pairs again, and DVC goes on to neither reference nor dpo.
        ("picollm/inference/generate.py", AFTER_SFT | {"sample@base"}),
        ("picollm/evaluation/metrics.py", {"evaluate", "plot"}),
        ("picollm/lab/figures.py", {"plot"}),
        ("picollm/model/attention.py", STAGES - CHECKS - {"make_datasets"}),
        ("picollm/text/tokenizer.py", STAGES - CHECKS - {"make_datasets"}),
        ("picollm/datagen/settings.py", STAGES - CHECKS - {"import_models"}),
        ("picollm/verdict.py", set()),
        ("picollm/cli.py", set()),
        ("picollm/parameters.py", set()),
    ],
)
def test_a_change_of_code_makes_out_of_date_what_it_concerns_and_no_more(project, file, expected):
    with open(project.folder / file, "a") as module:
        module.write("\n# a comment\n")
    try:
        assert out_of_date(project) == expected
    finally:
        project.run("git", "checkout", "-q", ".")
    assert out_of_date(project) == set()
