"""picollm: a laboratory for post-training small language models. Nothing here may change a result: stages do not declare this file."""

import os

# While one thread of a parallel region waits for another it spins, by GNU OpenMP's default for about a millisecond. Beside another
# busy process that is what keeps the other thread off its core, and everything takes many times as long; after 2000 turns it sleeps
# instead (docs/performance.md has the times). Read when torch is loaded, so set here, in the package that every program imports
# first. The number of threads stays the user's: it changes the order of sums.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "2000"
