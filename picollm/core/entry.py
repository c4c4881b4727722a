"""The entry point of stages and commands: user errors end in a message, not a traceback."""

import os
import signal
import sys
from collections.abc import Callable

from picollm.core.errors import Interrupted, PicollmError


def run(main: Callable[[], None]) -> None:
    """Call `main`; exit with status 1 and a message on the project's own errors, with 128 + its number on a signal.

    A character that stdout or stderr cannot encode is printed escaped. A closed stdout (`| head`) ends the process like SIGPIPE.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        main()
        sys.stdout.flush()
    except Interrupted as error:
        print(error, flush=True)  # to stdout, which only the main process of several has
        sys.exit(128 + error.number)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit succeeds
        print("error: broken pipe: stdout was closed", file=sys.stderr)
        sys.exit(128 + signal.SIGPIPE)
    except PicollmError as error:
        sys.exit(f"error: {error}")
