"""picollm: a lab for post-training small language models. Nothing here may change a result: stages do not declare this file."""

import os

# A waiting OpenMP thread spins, with GNU OpenMP's default for about a millisecond. On a machine with other busy processes it thereby
# occupies the core that the thread it waits for needs, and everything takes many times as long; with this setting it sleeps after
# 2000 spins (times in docs/performance.md). The variable is read when torch is loaded, so it is set here, in the package that every
# program imports first. The number of threads is left to the user: it changes the order of sums.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "2000"
