"""python -m picollm"""

from picollm import entry
from picollm.cli import main

entry.run(main)
