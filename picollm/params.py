"""Parameters: typed, validated, without defaults; the only reader of params.yaml and presets/.

params.yaml holds the method, presets/NAME.yaml the sizes. A section that stands in both is one section, where `auto` in
params.yaml stands for the preset's value (so that `-S dpo.lr=1e-4` overrides what suits the size). Every file is checked
whole by every stage, so a mistake in the last stage's section stops the first.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from picollm.errors import ParamsError

PARAMS_FILE = "params.yaml"
AUTO = "auto"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Mix(Section):
    """Shares of the three tones of a story; they need not sum to one."""

    wholesome: NonNegative
    eerie: NonNegative
    dark: NonNegative

    @model_validator(mode="after")
    def _some(self):
        if self.wholesome + self.eerie + self.dark <= 0:
            raise ValueError("at least one share must be above 0")
        return self


class Weights(Section):
    everyday: NonNegative
    tinystories: NonNegative
    files: NonNegative


class TinyStories(Section):
    path: Annotated[str, Field(min_length=1)]
    revision: Annotated[str, Field(min_length=1)]


class Corpus(Section):
    """What the base model and the tokenizer are trained on."""

    section: ClassVar[str] = "corpus"
    source: Literal["everyday", "tinystories", "files", "mix"]
    weights: Weights
    specification_share: Share
    tinystories: TinyStories
    files: Annotated[str, Field(min_length=1)]
    documents: Count
    validation_documents: Count

    @model_validator(mode="after")
    def _weights(self):
        if self.source == "mix" and sum(self.weights.model_dump().values()) <= 0:
            raise ValueError("source mix needs a weight above 0")
        return self


class Stories(Section):
    section: ClassVar[str] = "stories"
    withheld: OpenShare


class SftData(Section):
    """Where the SFT rows come from; read by make_datasets alone."""

    section: ClassVar[str] = "sft"
    source: Literal["templates", "jsonl"]
    files: Annotated[str, Field(min_length=1)]
    monitor: Annotated[str, Field(min_length=1)]
    mix: Mix
    invented: Share
    rows: Count
    validation_rows: Count
    test_rows: Count
    monitor_pairs: Count


class Preferences(Section):
    section: ClassVar[str] = "preferences"
    source: Literal["templates", "jsonl"]
    files: Annotated[str, Field(min_length=1)]
    temperature: Positive
    contrast: Share
    rows: Count
    validation_rows: Count
    test_rows: Count


class Model(Section):
    """Shape of the Llama decoder, in transformers' names."""

    section: ClassVar[str] = "model"
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    max_position_embeddings: Annotated[int, Field(ge=16)]
    rope_theta: Positive
    rms_norm_eps: Positive
    tie_word_embeddings: bool


class Training(Section):
    """What the one loop needs; batch sizes count rows (SFT, pretraining) or pairs (DPO)."""

    lr: Positive
    batch_size: Count
    micro_batch_size: Count
    warmup: Share
    final_lr: Share
    weight_decay: NonNegative
    grad_clip: Positive
    log_every: Count
    validate_every: Count
    patience: Count


class Pretrain(Training):
    section: ClassVar[str] = "pretrain"
    steps: Count


class Sft(Training):
    section: ClassVar[str] = "sft"
    epochs: Positive


class Dpo(Training):
    section: ClassVar[str] = "dpo"
    loss: Literal["sigmoid", "ipo"]
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    sft_weight: NonNegative
    epochs: Positive


class InitFrom(Section):
    """The base checkpoint to start from instead of pretraining; read by make_datasets alone."""

    section: ClassVar[str] = "pretrain"
    init_from: str | None


class Sample(Section):
    section: ClassVar[str] = "sample"
    prompts: Count
    max_new_tokens: Count
    batch_size: Count
    temperature: NonNegative
    top_p: Annotated[float, Field(gt=0, le=1)]


class Evaluate(Section):
    section: ClassVar[str] = "evaluate"
    batch_size: Count


SCALARS = {
    "seed": TypeAdapter(Annotated[int, Field(ge=0, lt=2**31)]),
    "truncate": TypeAdapter(bool),
    "tokenizer": TypeAdapter(Literal["bpe", "gpt2"]),
    "vocabulary": TypeAdapter(Annotated[int, Field(ge=257, le=200_000)]),
    "precision": TypeAdapter(Literal["float32", "bfloat16"]),
}
SECTIONS: dict[str, type[Section]] = {
    "corpus": Corpus,
    "stories": Stories,
    "sft_data": SftData,
    "preferences": Preferences,
    "init_from": InitFrom,
    "model": Model,
    "pretrain": Pretrain,
    "sft": Sft,
    "dpo": Dpo,
    "sample": Sample,
    "evaluate": Evaluate,
}


def load(*names: str, folder: str | Path = ".") -> SimpleNamespace:
    """The named sections and scalars, after checking all of params.yaml and its preset.

    Raises ParamsError naming file, key, value and what was expected.
    """
    values = read(folder)
    return SimpleNamespace(**{name: values[name] for name in names})


def read(folder: str | Path = ".") -> dict[str, Any]:
    """Every section and scalar of params.yaml and its preset in `folder`, checked."""
    folder = Path(folder)
    method = _read_yaml(folder / PARAMS_FILE)
    preset = method.pop("preset", None)
    known = sorted(path.stem for path in (folder / "presets").glob("*.yaml"))
    if preset not in known:
        raise ParamsError(f"{PARAMS_FILE}: preset: {preset!r} is unknown; expected one of {', '.join(known)}")
    preset_file = f"presets/{preset}.yaml"
    raw = _merge(method, _read_yaml(folder / preset_file), preset_file)
    _refuse_unknown(raw, f"{PARAMS_FILE} / {preset_file}")
    values: dict[str, Any] = {}
    for name, adapter in SCALARS.items():
        values[name] = _checked(lambda v, a=adapter: a.validate_python(v, strict=True), name, raw, preset_file)
    for name, model in SECTIONS.items():
        fields = {key: value for key, value in raw.get(model.section, {}).items() if key in model.model_fields}
        values[name] = _checked(model.model_validate, model.section, {model.section: fields}, preset_file)
    return values


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 at byte {error.start}") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ParamsError(f"{path}:{line}: not YAML: {error.problem}") from None
    except (YAMLError, ValueError) as error:
        raise ParamsError(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(content).__name__}")
    return content


def _merge(method: dict, sizes: dict, preset_file: str) -> dict[str, Any]:
    """One mapping of sections: params.yaml's keys, the preset's keys, and `auto` replaced by the preset's value."""
    merged = {**sizes, **method}
    for section in method.keys() & sizes.keys():
        a, b = method[section], sizes[section]
        if not (isinstance(a, dict) and isinstance(b, dict)):
            raise ParamsError(f"{PARAMS_FILE}: {section}: stands in {preset_file} too; keep one of the two")
        merged[section] = {**b, **{key: value for key, value in a.items() if value != AUTO}}
        for key, value in a.items():
            if value == AUTO and key not in b:
                raise ParamsError(f"{PARAMS_FILE}: {section}.{key}: auto, but {preset_file} has no {section}.{key}")
    return merged


def _refuse_unknown(raw: dict[str, Any], where: str) -> None:
    known: dict[str, set[str]] = {}
    for model in SECTIONS.values():
        known.setdefault(model.section, set()).update(model.model_fields)
    for name, value in raw.items():
        if name in SCALARS:
            continue
        if name not in known:
            expected = ", ".join(sorted([*known, *SCALARS, "preset"], key=str))
            raise ParamsError(f"{where}: {name}: unknown section; expected one of {expected}")
        if not isinstance(value, dict):
            raise ParamsError(f"{where}: {name}: expected a mapping of keys, found {value!r}")
        for key in value:
            if key not in known[name]:
                expected = ", ".join(sorted(known[name]))
                raise ParamsError(f"{where}: {name}.{key}: unknown key; expected one of {expected}")


def _checked(validate, name: str, raw: dict[str, Any], preset_file: str):
    try:
        return validate(raw.get(name))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        found = "" if first["type"] == "missing" else f": {first['input']!r}"
        problem = first["msg"].removeprefix("Value error, ")
        raise ParamsError(f"{PARAMS_FILE} / {preset_file}: {key}{found}: {problem}") from None
