"""Parameters: params.yaml (the method) merged with presets/NAME.yaml (the sizes); typed, validated, without defaults.

A section may be in both files; `auto` in params.yaml means the preset's value, so that `-S dpo.lr=1e-4` overrides it.
Each component declares its keys as a `Settings` model next to its code.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from picollm.core.errors import ParamsError, shown

PARAMS_FILE = "params.yaml"
AUTO = "auto"
# The keys that both files have. dvc.yaml declares these of params.yaml; of another one DVC would not see a change.
OVERRIDABLE = {"pretrain.lr", "pretrain.steps", "sft.lr", "sft.epochs", "dpo.lr", "dpo.epochs"}


def _one_line(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise ValueError("expected text without control characters")
    return text


# Upper bounds are far above any real use: they keep a typo from exhausting memory or overflowing float32.
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
RowCount = Annotated[int, Field(ge=1, le=10**8)]  # rows are held in memory
BatchSize = Annotated[int, Field(ge=1, le=2**20)]
Size = Annotated[int, Field(ge=1, le=2**24)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]


class Settings(BaseModel):
    """The parameters of one component, in the section `section`, or at the top level of the files if it is None."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())
    section: ClassVar[str | None] = None


SeedNumber = Annotated[int, Field(ge=0, lt=2**31)]


class Seed(Settings):
    """The seed from which every random number follows."""

    seed: SeedNumber


class Parameters:
    """The merged content of params.yaml in `folder` and its preset.

    Raises ParamsError naming the file and the line or key: for a file that is missing or not YAML, an unknown preset, a key
    in both files that is not a section, and `auto` if the preset has no value.
    """

    def __init__(self, folder: str | Path = "."):
        folder = Path(folder)
        method = read_yaml(folder / PARAMS_FILE)
        preset = method.pop("preset", None)
        known = sorted(path.stem for path in (folder / "presets").glob("*.yaml"))
        if preset not in known:
            raise ParamsError(f"{PARAMS_FILE}: preset: {shown(preset)} is unknown; expected one of {', '.join(known)}")
        self.preset_file = f"presets/{preset}.yaml"
        self.where = f"{PARAMS_FILE} / {self.preset_file}"
        self.content = _merge(method, read_yaml(folder / self.preset_file), self.preset_file)

    def validated(self, model: type[Settings]) -> Settings:
        """The settings of one component. Raises ParamsError naming the key, its value and what was expected."""
        content = self.content if model.section is None else self.content.get(model.section, {})
        if not isinstance(content, dict):
            raise ParamsError(f"{self.where}: {model.section}: expected a mapping of keys, found {shown(content)}")
        known = {key: content[key] for key in model.model_fields if key in content}
        return validated(model, known, self.where, model.section)

    def refuse_unknown(self, models: tuple[type[Settings], ...]) -> None:
        """Raise ParamsError for a section or key that none of the models declares."""
        known: dict[str | None, set[str]] = {None: set()}
        for model in models:
            known.setdefault(model.section, set()).update(model.model_fields)
        for name, value in self.content.items():
            if name not in known and name not in known[None]:
                expected = ", ".join(sorted([*filter(None, known), *known[None], "preset"]))
                raise ParamsError(f"{self.where}: {_named(name)}: unknown section; expected one of {expected}")
            if name in known and not isinstance(value, dict):
                raise ParamsError(f"{self.where}: {name}: expected a mapping of keys, found {shown(value)}")
            for key in value if name in known else ():
                if key not in known[name]:
                    expected = ", ".join(sorted(known[name]))
                    raise ParamsError(f"{self.where}: {name}.{_named(key)}: unknown key; expected one of {expected}")


def validated(model: type[Settings], content: dict[str, Any], where: str, section: str | None = None) -> Settings:
    """`content` as a `model`. Raises ParamsError naming `where`, the key, its value and what was expected."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, ([section] if section else []) + list(first["loc"])))
        found = "" if first["type"] == "missing" else f": {shown(first['input'])}"
        raise ParamsError(f"{where}: {key}{found}: {first['msg'].removeprefix('Value error, ')}") from None


def load(*models: type[Settings], folder: str | Path = ".") -> SimpleNamespace:
    """The settings that a stage reads: each section under its name, each top-level key under its own."""
    parameters, loaded = Parameters(folder), {}
    for model in models:
        settings = parameters.validated(model)
        loaded |= dict(settings) if model.section is None else {model.section: settings}
    return SimpleNamespace(**loaded)


def _merge(method: dict, sizes: dict, preset_file: str) -> dict[str, Any]:
    """Both files as one mapping, with `auto` replaced by the preset's value."""
    merged = {**sizes, **method}
    for section in method.keys() & sizes.keys():
        a, b = method[section], sizes[section]
        if not (isinstance(a, dict) and isinstance(b, dict)):
            raise ParamsError(
                f"{PARAMS_FILE}: {_named(section)}: also in {preset_file}; expected in one of the two files"
            )
        merged[section] = {**b, **{key: value for key, value in a.items() if value != AUTO}}
        for key, value in a.items():
            name = f"{_named(section)}.{_named(key)}"
            if key in b and name not in OVERRIDABLE:
                raise ParamsError(
                    f"{PARAMS_FILE}: {name}: also in {preset_file}; change it there: -S '{preset_file}:{name}=...'"
                )
            if value == AUTO and key not in b:
                raise ParamsError(f"{PARAMS_FILE}: {name}: auto; expected a value, because {preset_file} has no {name}")
    return merged


def _named(key: Any) -> str:
    return key if isinstance(key, str) and len(key) <= 60 else shown(key)


class _Loader(yaml.SafeLoader):
    """PyYAML with the scalars of YAML 1.2, as DVC resolves them: `5e-07` is a number, `on` a string, `010` ten. A duplicate key is
    an error."""

    yaml_implicit_resolvers: ClassVar[dict] = {}  # drops those of YAML 1.1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"duplicate key {shown(key.value)}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_int(self, node: yaml.ScalarNode) -> int:
        text = node.value.replace("_", "")
        return int(text, 0 if text.lstrip("+-")[:2] in ("0b", "0o", "0x") else 10)

    def construct_float(self, node: yaml.ScalarNode) -> float:
        return float(node.value.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def _add_scalar(kind: str, pattern: str, first: Iterable[str], constructor: Callable) -> None:
    """Resolve plain scalars that match `pattern` and begin with one of `first` to YAML's type `kind`."""
    tag = f"tag:yaml.org,2002:{kind}"
    _Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})$"), list(first))
    _Loader.add_constructor(tag, constructor)


_add_scalar("null", "~|null|Null|NULL|", ["~", "n", "N", ""], yaml.SafeLoader.construct_yaml_null)
_add_scalar("bool", "true|True|TRUE|false|False|FALSE", "tTfF", yaml.SafeLoader.construct_yaml_bool)
_add_scalar(
    "int",
    "[-+]?(?:0b[01][01_]*|0o[0-7][0-7_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)",
    "-+0123456789",
    _Loader.construct_int,
)
_add_scalar(
    "float",
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
    "-+0123456789.",
    _Loader.construct_float,
)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping. Raises ParamsError naming the file and the line for one that is missing or not YAML."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file") from None
    except OSError as error:
        raise ParamsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8 at byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context} that begins in line {error.context_mark.line + 1})" if error.context_mark else ""
        raise ParamsError(f"{path}:{mark.line + 1}: not YAML: {error.problem}{context}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not YAML: {error!s:.200}") from None
    if not isinstance(content, dict):
        raise ParamsError(f"{path}: expected a mapping of sections, found {type(content).__name__}")
    return content
