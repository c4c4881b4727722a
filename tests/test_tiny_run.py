"""The whole chain under DVC, in a fresh Git repository, with preset smoke: the nearest thing to a user's first hour."""

import shutil
import sys

import pytest

from tests.project import STAGES, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("project"))
    assert project.ran(project.run("dvc", "repro")) == STAGES
    project.commit("first run")
    return project


def test_a_second_repro_runs_nothing_and_git_is_clean(project):
    assert project.ran(project.run("dvc", "repro")) == set()
    assert project.run("git", "status", "--porcelain") == ""


def test_git_holds_the_metrics_and_figures_and_no_model_or_data(project):
    tracked = project.run("git", "ls-files").split()
    assert {"metrics/eval.json", "metrics/dpo.json", "plots/curves.png", "plots/sft/monitor.csv", "dvc.lock"} <= set(
        tracked
    )
    assert [
        path for path in tracked if path.startswith(("models/", "data/")) and not path.startswith("data/raw/")
    ] == []


def test_a_run_forced_again_leaves_every_hash_as_it_was(project):
    project.run("dvc", "repro", "-f", "--single-item", "pretrain")
    project.run("dvc", "repro", "-f", "--single-item", "dpo")
    assert project.run("git", "status", "--porcelain") == ""


def test_a_new_beta_reruns_dpo_its_samples_evaluation_and_plots_alone(project):
    output = project.run("dvc", "exp", "run", "-S", "dpo.beta=0.3", "-n", "beta")
    assert project.ran(output) == {"dpo", "sample@dpo", "evaluate", "plot"}
    difference = project.run("dvc", "metrics", "diff", "HEAD", "beta", "--json")
    assert "dpo.test.margin" in difference
    project.run("git", "checkout", "-q", ".")
    project.run("dvc", "checkout", "-q")


@pytest.mark.parametrize(
    ("change", "untouched"),
    [
        ("preferences.temperature=3.0", {"tokenize", "pretrain", "sft", "sample@base", "sample@sft"}),
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
        ("pretrain.init_from=elsewhere", "pretrain.init_from: elsewhere: expected a directory in data/raw/"),
        ("corpus.source=files", "corpus.files: no file matches"),
    ],
)
def test_a_wrong_setting_ends_with_a_message_and_no_traceback(project, change, message):
    output = project.run("dvc", "exp", "run", "--temp", "-S", change, ok=False)
    assert message in output
    assert "Traceback" not in output


def test_evaluation_has_every_number_that_it_promises(project):
    numbers = project.metrics()
    for model in ("base", "sft", "dpo"):
        names = [f"{model}.sft_loss", f"{model}.bits_per_byte"]
        for split in ("test", "unseen"):
            measures = [
                "margin",
                "ceiling",
                "kl",
                "kl_per_token",
                "adherence",
                "distinct_2",
                "repetition",
                "ended",
                "length",
                "lexicon",
            ]
            with_interval = ["pref_acc", "reward_acc", "dread", "win_rate"]
            measures += [f"{name}{end}" for name in with_interval for end in ("", "_low", "_high")]
            names += [f"{model}.{split}.{measure}" for measure in measures]
        assert set(names) <= set(numbers)
        assert all(isinstance(numbers[name], int | float) for name in names)
    assert numbers["sft.test.reward_acc"] == 0.5  # the reference against itself ties everywhere
    assert numbers["sft.test.kl"] == pytest.approx(0, abs=1e-4)


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
    for series in ("chosen_logps", "rejected_logps", "chosen_reward", "rejected_reward", "reward_acc", "bits_per_byte"):
        assert series in page
    shutil.rmtree(project.folder / "html")
