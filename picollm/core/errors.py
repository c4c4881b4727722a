"""The project's own errors: each message names the file, line, key and value, and says what was expected."""

import reprlib
import signal


class PicollmError(Exception):
    """Base of every error that a user can cause and mend; a stage prints its message without a traceback."""


class ParamsError(PicollmError):
    """params.yaml or a preset holds an unknown key, a wrong type or a value out of range."""


class DataError(PicollmError):
    """A data file is missing, unreadable, or a row of it is not what its format says."""


class TokenizerError(PicollmError):
    """A tokenizer cannot be read, downloaded or trained, or does not belong to the model."""


class CheckpointError(PicollmError):
    """A model directory is incomplete, damaged, or of another shape than its config.json says."""


class TrainingError(PicollmError):
    """Training cannot go on: a loss that is not finite, or a first loss that contradicts theory."""


class ResumeError(PicollmError):
    """The rolling state of a run cannot be written."""


class LockedError(PicollmError):
    """Another process is at the same work."""


class Interrupted(Exception):
    """SIGTERM or Ctrl-C ended the training; `number` is the signal. Its state was saved first."""

    def __init__(self, number: signal.Signals):
        super().__init__(f"stopped by {number.name}; the same command goes on from here")
        self.number = number


class _Shown(reprlib.Repr):
    """repr() that costs no more than what it shows: a value may be huge, deep, or a number too long to be written out."""

    def __init__(self, limit: int):
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, limit, limit, limit

    def repr_int(self, x: int, level: int) -> str:
        return f"a number of {x.bit_length()} bits" if x.bit_length() > 2**12 else f"{x}"

    def repr_instance(self, x: object, level: int) -> str:
        return self.repr_dict(x, level) if isinstance(x, dict) else super().repr_instance(x, level)


def shown(value: object, limit: int = 60) -> str:
    """A value as an error message shows it: its repr, cut to `limit` characters."""
    return _Shown(limit).repr(value)[:limit]
