"""All settings models of the project, and the check of params.yaml and its preset as a whole."""

from pathlib import Path

from picollm.core.config import Parameters, Seed, Settings
from picollm.core.errors import ParamsError
from picollm.datagen.settings import Corpus, Preferences, SftData, Stories
from picollm.evaluation.settings import ImplicitReward, Labels, Start, Tones
from picollm.inference.candidates import Labelling
from picollm.inference.settings import Limits, Reader, Sample
from picollm.logprobs.settings import Score, TemporalDecay
from picollm.model.settings import MAX_PARAMETERS, TRAINING_BYTES, Compute, InitFrom, ModelShape, PolicyFrom
from picollm.preference.settings import Dpo
from picollm.text.settings import GPT2_VOCABULARY, NewTokens, TokenizerSettings, Truncation
from picollm.training.settings import Parallel, Pretrain, Sft

SETTINGS = (
    *(Seed, Compute, Parallel, Truncation, TokenizerSettings, NewTokens),
    *(Corpus, Stories, SftData, Preferences, Tones, InitFrom, PolicyFrom, ModelShape, Pretrain, Sft, Dpo),
    *(Limits, Sample, Reader, Score, TemporalDecay, Labelling, ImplicitReward, Labels, Start),
)


def check(folder: str | Path = ".") -> dict[type[Settings], Settings]:
    """All settings of params.yaml and its preset. Raises ParamsError naming file, key, value and what was expected."""
    parameters = Parameters(folder)
    parameters.refuse_unknown(SETTINGS)
    settings = {model: parameters.validated(model) for model in SETTINGS}
    tokenizer = settings[TokenizerSettings]
    vocabulary = GPT2_VOCABULARY if tokenizer.tokenizer == "gpt2" else tokenizer.vocabulary
    count = settings[ModelShape].config(vocabulary).parameter_count()
    if count > MAX_PARAMETERS:
        raise ParamsError(
            f"{parameters.where}: model: hidden_size, intermediate_size, num_hidden_layers and vocabulary give {count:,} "
            f"parameters, which take {TRAINING_BYTES * count / 2**40:,.1f} TiB in training; expected at most "
            f"{MAX_PARAMETERS:,} parameters"
        )
    return settings
