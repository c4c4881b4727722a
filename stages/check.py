"""check: params.yaml, presets/ -> data/checked.txt, on which every other stage depends: nothing runs with a wrong parameter

The file never changes, so that a checked parameter makes no stage out of date by itself.
"""

from picollm import parameters
from picollm.core import entry, files


def main():
    parameters.check()
    with files.write_atomic("data/checked.txt") as file:
        file.write("params.yaml and its preset were checked\n")


if __name__ == "__main__":
    entry.run(main)
