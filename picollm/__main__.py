"""python -m picollm"""

from picollm.cli import main
from picollm.core import entry

entry.run(main)
