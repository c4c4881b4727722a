"""How a stage or a command begins and ends: a user's mistake is a message, not a traceback."""

import sys
from collections.abc import Callable

from picollm.errors import PicollmError


def run(main: Callable[[], None]) -> None:
    """Call `main`; one of the project's own errors is printed and ends the process with status 1."""
    try:
        main()
    except PicollmError as error:
        sys.exit(f"error: {error}")
