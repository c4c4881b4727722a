"""The project's own errors, whose messages name file, line, key and value, and say what was expected."""

import reprlib
import signal


class PicollmError(Exception):
    """Base class of errors that the user can fix; a stage prints the message without a traceback."""


class ParamsError(PicollmError):
    """params.yaml, a preset or an environment variable has an unknown key, a wrong type or a value out of range."""


class DataError(PicollmError):
    """A data file is missing or unreadable, or a row violates its format."""


class TokenizerError(PicollmError):
    """A tokenizer cannot be read, downloaded or trained, or does not belong to the model."""


class CheckpointError(PicollmError):
    """A model directory is incomplete or damaged, not a supported model, or contradicts its config.json."""


class TrainingError(PicollmError):
    """Training cannot continue: a loss is not finite, policy and reference differ before the first step, or a process failed."""


class ResumeError(PicollmError):
    """The saved state of a run cannot be written."""


class LockedError(PicollmError):
    """The stage is already running in another process."""


class Interrupted(Exception):
    """Training was ended by signal `number`, SIGTERM or SIGINT, after its state was saved."""

    def __init__(self, number: signal.Signals):
        super().__init__(f"stopped by {number.name}; run the same command again to resume")
        self.number = number


class _Shown(reprlib.Repr):
    """repr() whose cost is bounded by its length: a value may be huge, deeply nested, or an int too long to convert."""

    def __init__(self, limit: int):
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, limit, limit, limit

    def repr_int(self, x: int, level: int) -> str:
        return f"a number of {x.bit_length()} bits" if x.bit_length() > 2**12 else f"{x}"

    def repr_instance(self, x: object, level: int) -> str:
        return self.repr_dict(x, level) if isinstance(x, dict) else super().repr_instance(x, level)


def shown(value: object, limit: int = 60) -> str:
    """A value for an error message: its repr, truncated to `limit` characters."""
    return _Shown(limit).repr(value)[:limit]
