"""What every command shares: composing the configuration, and ending in one clear line.

Exit codes: 0 done, 2 a mistake in command, configuration or data, 130 interrupted.
"""

import atexit
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.disk import about_files, chain
from selfguide.config.explain import composing_problem, explain
from selfguide.config.groups import register
from selfguide.config.overrides import in_order
from selfguide.core.errors import SelfguideError
from selfguide.core.escaping import terminal
from selfguide.core.masking import masked, masked_line
from selfguide.core.paths import config_dir

Job = Callable[[DictConfig], Any]
LONGEST = 2000
"""Characters of an error's line; values may be texts."""


def command(config_name: str = "config") -> Callable[[Job], Callable[[], Any]]:
    """Decorator: a job on a composed configuration becomes a console command."""

    def decorate(job: Job) -> Callable[[], Any]:
        def main() -> Any:
            register()
            # An option may stand behind overrides.
            sys.argv[1:] = in_order(sys.argv[1:])
            # Hydra then raises instead of printing its own multi-line report and exiting with 1.
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")
            # rouge-score announces its tokenizer through absl.
            logging.getLogger("absl").setLevel(logging.WARNING)
            signal.signal(signal.SIGTERM, _interrupt)
            signal.signal(signal.SIGINT, _interrupt)
            run = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)(_quietly(job))
            try:
                return run()
            except (HydraException, OmegaConfBaseException) as error:
                fail(explain(error))
            except SelfguideError as error:
                fail(str(error))
            except BrokenPipeError:  # `| head`: who read us has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(1)
            except KeyboardInterrupt:
                interrupted()
            except Exception as error:
                if was_interrupted(error):
                    interrupted()
                if (line := about_files(error) or composing_problem(error, sys.argv[1:])) is None:
                    raise  # a bug
                fail(line)
            finally:
                atexit.register(_end_by_signals)

        main.__doc__ = job.__doc__
        main.on_config = job  # type: ignore[attr-defined]
        return main

    return decorate


def _quietly(job: Job) -> Job:
    def run(config: DictConfig) -> Any:
        try:
            return job(config)
        except SelfguideError as error:
            # In a sweep the error belongs to this job alone; alone, it ends the command.
            if in_multirun():
                raise
            fail(str(error))
        except KeyboardInterrupt:
            if in_multirun():  # the command says it: what a job says may go into a file of its own
                raise
            interrupted()
        except Exception as error:
            if in_multirun():
                raise
            if was_interrupted(error):
                interrupted()
            if (line := about_files(error)) is None:
                raise
            fail(line)

    return run


def fail(message: str) -> NoReturn:
    """Print one line and leave with 2."""
    line = terminal(masked_line(" ".join(message.split())))
    # What to do stands at the end.
    line = line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)


AGAIN_S = 0.02


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM. A subclass, because CPython ends a process in which a plain KeyboardInterrupt
    ever passed through `exec` (an import, say) by the signal, whatever exit code was asked for."""


def interrupted() -> NoReturn:
    """Say how to go on, and leave with 130."""
    print(f"interrupted: finished work is kept. Continue with: {_command_line()}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(130)


def was_interrupted(error: BaseException) -> bool:
    """Whether an error was raised by what an interrupt left half done: a lock that a library gives back, say."""
    return any(isinstance(link, Interrupted) for link in chain(error))


def _command_line() -> str:
    return " ".join([sys.argv[0], *map(shlex.quote, masked(sys.argv[1:]))])


def _end_by_signals() -> None:
    """For the end of the interpreter: nobody is left to catch an `Interrupted`."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_DFL)


def _interrupt(signum: int, frame: Any) -> None:
    if frame is not None and frame.f_globals.get("__name__") == "logging" and frame.f_code.co_name.endswith("Lock"):
        # Python takes and gives back these locks around a fork, too, where an exception is lost: in a moment again.
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        return
    raise Interrupted


def run_folder() -> Path:
    """The folder Hydra made for this run."""
    return Path(HydraConfig.get().runtime.output_dir)


def in_multirun() -> bool:
    """Whether this run is one of many that were started by one command."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def run_overrides() -> list[str]:
    """What the command line changed in this run's configuration."""
    return list(HydraConfig.get().overrides.task)
