"""Parameters: typed, validated, without defaults; the only reader of params.yaml and presets/.

params.yaml holds the method, presets/NAME.yaml the sizes. A section that stands in both is one section, where `auto` in
params.yaml stands for the preset's value (so that `-S dpo.lr=1e-4` overrides what suits the size). Every file is checked
whole by every stage, so a mistake in the last stage's section stops the first.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from picollm.errors import ParamsError, shown
from picollm.shape import ModelConfig

PARAMS_FILE = "params.yaml"
AUTO = "auto"
MAX_YAML = 2**17  # bytes
MAX_NODES = 10_000  # keys and values, each alias counted with all that it stands for
GPT2_VOCABULARY = 50257
# What training keeps of a parameter: weight, gradient and two moments of four bytes each.
TRAINED_BYTES = 16
MAX_MODEL_BYTES = 2**40
MAX_PARAMETERS = MAX_MODEL_BYTES // TRAINED_BYTES


def _plain(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("expected text without control characters")
    return text


def _zero_or_more_than_a_trace(number: float) -> float:
    if 0 < number < 1e-6:
        raise ValueError("expected 0 (greedy) or at least 1e-06, below which logits overflow")
    return number


# Upper bounds are far above any use: they keep a slip of the hand from taking a machine's memory or overflowing a float32.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e9)]
Rate = Annotated[float, Field(gt=0, le=100)]
Epochs = Annotated[float, Field(gt=0, le=10**6)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
RowCount = Annotated[int, Field(ge=1, le=10**8)]  # rows are held in memory
BatchSize = Annotated[int, Field(ge=1, le=2**20)]
Size = Annotated[int, Field(ge=1, le=2**24)]
Layers = Annotated[int, Field(ge=1, le=1024)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_plain)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Mix(Section):
    """Shares of the three tones of a story; they need not sum to one."""

    wholesome: Weight
    eerie: Weight
    dark: Weight

    @model_validator(mode="after")
    def _some(self):
        if self.wholesome + self.eerie + self.dark <= 0:
            raise ValueError("at least one share must be above 0")
        return self


class Weights(Section):
    everyday: Weight
    tinystories: Weight
    files: Weight


class TinyStories(Section):
    path: Text
    revision: Text


class Corpus(Section):
    """What the base model and the tokenizer are trained on."""

    section: ClassVar[str] = "corpus"
    source: Literal["everyday", "tinystories", "files", "mix"]
    weights: Weights
    specification_share: Share
    tinystories: TinyStories
    files: Text
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
    files: Text
    monitor: Text
    mix: Mix
    invented: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount
    monitor_pairs: RowCount


class Preferences(Section):
    section: ClassVar[str] = "preferences"
    source: Literal["templates", "jsonl"]
    files: Text
    temperature: Positive
    contrast: Share
    rows: RowCount
    validation_rows: RowCount
    test_rows: RowCount


class Model(Section):
    """Shape of the Llama decoder, in transformers' names."""

    section: ClassVar[str] = "model"
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Size
    max_position_embeddings: Annotated[int, Field(ge=16, le=2**24)]
    rope_theta: Positive
    rms_norm_eps: Positive
    tie_word_embeddings: bool

    @model_validator(mode="after")
    def _possible(self):
        if problem := self.shape(vocabulary=1).problem():
            raise ValueError(problem)
        return self

    def shape(self, vocabulary: int) -> ModelConfig:
        return ModelConfig(vocab_size=vocabulary, **self.model_dump())


class Training(Section):
    """What the one loop needs; batch sizes count rows (SFT, pretraining) or pairs (DPO)."""

    lr: Rate
    batch_size: BatchSize
    micro_batch_size: BatchSize
    warmup: Share
    final_lr: Share
    weight_decay: Annotated[float, Field(ge=0, le=1000)]
    grad_clip: Positive
    log_every: Count
    validate_every: Count
    checkpoint_every: Count
    patience: Count


class Pretrain(Training):
    section: ClassVar[str] = "pretrain"
    steps: Count


class Sft(Training):
    section: ClassVar[str] = "sft"
    epochs: Epochs


class Dpo(Training):
    section: ClassVar[str] = "dpo"
    loss: Literal["sigmoid", "ipo"]
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    sft_weight: NonNegative
    epochs: Epochs


class InitFrom(Section):
    """The base checkpoint to start from instead of pretraining; read by make_datasets alone."""

    section: ClassVar[str] = "pretrain"
    init_from: Text | None


class Sample(Section):
    section: ClassVar[str] = "sample"
    prompts: Count
    max_new_tokens: Size
    batch_size: BatchSize
    temperature: Annotated[float, Field(ge=0, le=1e6), AfterValidator(_zero_or_more_than_a_trace)]
    top_p: Annotated[float, Field(ge=1e-6, le=1)]


class Evaluate(Section):
    section: ClassVar[str] = "evaluate"
    batch_size: BatchSize


SCALARS = {
    "seed": TypeAdapter(Annotated[int, Field(ge=0, lt=2**31)]),
    "truncate": TypeAdapter(bool),
    "tokenizer": TypeAdapter(Literal["bpe", "gpt2"]),
    "vocabulary": TypeAdapter(Annotated[int, Field(ge=257, le=200_000)]),
    "precision": TypeAdapter(Literal["float32", "tf32", "bfloat16"]),
    "deterministic": TypeAdapter(bool),
    "strategy": TypeAdapter(Literal["ddp", "fsdp"]),
    "compile": TypeAdapter(Literal["auto", "on", "off"]),
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
        raise ParamsError(f"{PARAMS_FILE}: preset: {shown(preset)} is unknown; expected one of {', '.join(known)}")
    preset_file = f"presets/{preset}.yaml"
    raw = _merge(method, _read_yaml(folder / preset_file), preset_file)
    _refuse_unknown(raw, f"{PARAMS_FILE} / {preset_file}")
    values: dict[str, Any] = {}
    for name, adapter in SCALARS.items():
        values[name] = _checked(lambda v, a=adapter: a.validate_python(v, strict=True), name, raw, preset_file)
    for name, model in SECTIONS.items():
        fields = {key: value for key, value in raw.get(model.section, {}).items() if key in model.model_fields}
        values[name] = _checked(model.model_validate, model.section, {model.section: fields}, preset_file)
    _refuse_size(values, f"{PARAMS_FILE} / {preset_file}")
    return values


def _refuse_size(values: dict[str, Any], where: str) -> None:
    vocabulary = GPT2_VOCABULARY if values["tokenizer"] == "gpt2" else values["vocabulary"]
    parameters = values["model"].shape(vocabulary).parameter_count()
    if parameters > MAX_PARAMETERS:
        raise ParamsError(
            f"{where}: model: hidden_size, intermediate_size, num_hidden_layers and vocabulary make {parameters:,} "
            f"parameters, which take {TRAINED_BYTES * parameters / 2**40:,.1f} TiB in training; expected at most "
            f"{MAX_PARAMETERS:,} parameters"
        )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_YAML:
            raise ParamsError(f"{path}: larger than {MAX_YAML >> 10} kB")
        text = path.read_text(encoding="utf-8")
        # An alias, a merge key or an alias of aliases may stand for more than memory holds: counted before it is built.
        if _nodes(YAML(typ="safe").compose(text), {}) > MAX_NODES:
            raise ParamsError(
                f"{path}: more than {MAX_NODES} keys and values, aliases counted with what they stand for"
            )
        content = YAML(typ="safe").load(text)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 at byte {error.start}") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ParamsError(f"{path}:{line}: not YAML: {error.problem}") from None
    except RecursionError:
        raise ParamsError(f"{path}: not YAML: nested too deeply") from None
    except (YAMLError, ValueError, LookupError, TypeError, ArithmeticError) as error:
        # A tag whose text does not fit it (!!bool maybe, !!int "") fails in whatever way the loader's own code fails.
        raise ParamsError(f"{path}: not YAML: {error!s:.200}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(content).__name__}")
    return content


def _nodes(node: Node | None, known: dict[int, float]) -> float:
    """How many nodes a YAML node stands for, aliases expanded; infinite for one that holds itself."""
    if node is None or isinstance(node, ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        members = node.value if isinstance(node, SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_nodes(member, known) for member in members)
    return known[id(node)]


def _named(key: Any) -> str:
    return key if isinstance(key, str) and len(key) <= 60 else shown(key)


def _merge(method: dict, sizes: dict, preset_file: str) -> dict[str, Any]:
    """One mapping of sections: params.yaml's keys, the preset's keys, and `auto` replaced by the preset's value."""
    merged = {**sizes, **method}
    for section in method.keys() & sizes.keys():
        a, b = method[section], sizes[section]
        if not (isinstance(a, dict) and isinstance(b, dict)):
            raise ParamsError(f"{PARAMS_FILE}: {_named(section)}: stands in {preset_file} too; keep one of the two")
        merged[section] = {**b, **{key: value for key, value in a.items() if value != AUTO}}
        for key, value in a.items():
            if value == AUTO and key not in b:
                name = f"{_named(section)}.{_named(key)}"
                raise ParamsError(f"{PARAMS_FILE}: {name}: auto, but {preset_file} has no {name}")
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
            raise ParamsError(f"{where}: {_named(name)}: unknown section; expected one of {expected}")
        if not isinstance(value, dict):
            raise ParamsError(f"{where}: {name}: expected a mapping of keys, found {shown(value)}")
        for key in value:
            if key not in known[name]:
                expected = ", ".join(sorted(known[name]))
                raise ParamsError(f"{where}: {name}.{_named(key)}: unknown key; expected one of {expected}")


def _checked(validate, name: str, raw: dict[str, Any], preset_file: str):
    try:
        return validate(raw.get(name))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        found = "" if first["type"] == "missing" else f": {shown(first['input'])}"
        problem = first["msg"].removeprefix("Value error, ")
        raise ParamsError(f"{PARAMS_FILE} / {preset_file}: {key}{found}: {problem}") from None
