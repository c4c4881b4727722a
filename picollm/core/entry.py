"""The entry point of stages and commands: the project's own errors are printed without a traceback."""

import os
import signal
import sys
from collections.abc import Callable

from picollm.core.errors import Interrupted, PicollmError


def run(main: Callable[[], None]) -> None:
    """Call `main`; exit with status 1 and a message on a PicollmError, with 128 + N on signal N.

    Characters that stdout or stderr cannot encode are escaped. A closed stdout (`| head`) ends the process like SIGPIPE.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: closed by whoever started the process
        stream.reconfigure(errors="backslashreplace")
    try:
        main()
        print(end="", flush=True)
    except Interrupted as error:
        print(error, flush=True)  # on stdout, which only rank 0 has
        sys.exit(128 + error.number)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit succeeds
        print("error: broken pipe: stdout was closed", file=sys.stderr)
        sys.exit(128 + signal.SIGPIPE)
    except PicollmError as error:
        sys.exit(f"error: {error}")
