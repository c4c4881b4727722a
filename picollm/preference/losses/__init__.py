"""Preference losses by their names in params.yaml: functions (PairScores, beta, settings by name) -> [P], one family per file.

A loss takes as keywords the settings that it uses: preference/settings.py refuses a value for any other.
"""

from picollm.preference.losses import margin, pointwise, reference_free, transport

LOSSES = {
    "sigmoid": margin.sigmoid,
    "robust": margin.robust,
    "ipo": margin.ipo,
    "ipo_norm": margin.ipo_norm,
    "hinge": margin.hinge,
    "sigmoid_norm": margin.sigmoid_norm,
    "exo_pair": margin.exo_pair,
    "discopop": margin.discopop,
    "dpop": margin.dpop,
    "r_dpo": margin.r_dpo,
    "nca_pair": pointwise.nca_pair,
    "bco_pair": pointwise.bco_pair,
    "apo_zero": pointwise.apo_zero,
    "apo_down": pointwise.apo_down,
    "sppo_hard": pointwise.sppo_hard,
    "aot": transport.aot,
    "aot_unpaired": transport.aot_unpaired,
    "simpo": reference_free.simpo,
    "orpo": reference_free.orpo,
}
LENGTHS = {"ipo_norm", "sigmoid_norm", "r_dpo", "simpo", "orpo"}  # use the responses' numbers of tokens
COUPLED = {"aot", "aot_unpaired"}  # a pair's loss depends on the other pairs of its batch
