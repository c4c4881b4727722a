"""check: params.yaml, presets/ -> data/checked.txt, a dep of every other stage, so that none runs with invalid parameters

The content of the file is constant: a changed parameter makes only those stages out of date that read it.
"""

from picollm import parameters
from picollm.core import entry, files


def main():
    parameters.check()
    with files.write_atomic("data/checked.txt") as file:
        file.write("params.yaml and its preset were checked\n")


if __name__ == "__main__":
    entry.run(main)
