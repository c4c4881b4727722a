"""The project's own errors: each message names the file, line, key and value, and says what was expected."""


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
