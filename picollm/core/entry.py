"""How a stage or a command begins and ends: a user's mistake is a message, not a traceback."""

import signal
import sys
from collections.abc import Callable

from picollm.core.errors import Interrupted, PicollmError


def run(main: Callable[[], None]) -> None:
    """Call `main`; one of the project's own errors is printed and ends the process with status 1, a signal with 128 + its number."""
    try:
        main()
    except Interrupted as error:
        print(error, flush=True)  # on stdout, where only the main one of several processes is heard
        sys.exit(128 + error.number)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except PicollmError as error:
        sys.exit(f"error: {error}")
