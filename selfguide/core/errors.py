"""Errors that are the user's to mend. Each carries one line: what is wrong, where, what to do."""


class SelfguideError(Exception):
    """Base of every expected failure; `main` prints it as one line and exits with 2."""


class ConfigError(SelfguideError):
    """A configuration value that is unknown, of the wrong type, or out of range."""


class DataError(SelfguideError):
    """A task file, split file or download that cannot be used as it is."""


class PromptTooLongError(SelfguideError):
    """A prompt that does not fit the model's context even in its shortest form."""


class MissingDependencyError(SelfguideError):
    """An optional package is needed by this configuration and is not installed."""


class TrainingError(SelfguideError):
    """Finetuning ended without a usable model (for example a loss that is not a number)."""


class EngineError(SelfguideError):
    """An inference engine could not start, or refused a request."""


class RequestError(EngineError):
    """A request that the engine refuses for what is in it; it goes on serving others."""


class ChildError(RuntimeError):
    """A bug in a child process: the message is its traceback."""
