import math
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from picollm.records.jsonl import PreferenceRecord
from picollm.stories.labels import ceiling, flipped_share, label_pair, preference_probability

DARK, MILD = "a dark story", "a mild story"


def pair(rng, scores=(4.0, 1.0), temperature=3.0, noise=0.0):
    return label_pair("p-1", "the prompt", (DARK, MILD), scores, temperature, noise, "contrast", rng)


def record(p_chosen):
    return replace(pair(Random(0)), p_chosen=p_chosen)


def test_probability_is_the_sigmoid_of_the_difference_over_the_temperature():
    # sigmoid(ln 3) = 3 / (3 + 1), sigmoid(-ln 3) = 1 / (1 + 3); half the temperature doubles the exponent: 9 / (9 + 1).
    assert preference_probability(5 + math.log(3), 5, 1.0) == pytest.approx(0.75, abs=1e-12)
    assert preference_probability(5, 5 + math.log(3), 1.0) == pytest.approx(0.25, abs=1e-12)
    assert preference_probability(math.log(3), 0, 0.5) == pytest.approx(0.9, abs=1e-12)
    assert preference_probability(2, 2, 7.0) == 0.5


def test_probability_does_not_overflow_for_large_differences():
    assert preference_probability(1e6, -1e6, 0.01) == 1.0
    assert preference_probability(-1e6, 1e6, 0.01) == 0.0
    assert preference_probability(-700, 0, 1.0) == pytest.approx(math.exp(-700), rel=1e-12)


def test_the_record_has_the_stories_scores_and_probability_on_the_side_that_was_drawn():
    probability = 1 / (1 + math.exp(-1.0))  # (4 - 1) / 3
    kept = PreferenceRecord(
        "p-1", "the prompt", "the prompt", DARK, MILD, 4.0, 1.0, pytest.approx(probability), "contrast"
    )
    flipped = PreferenceRecord(
        "p-1", "the prompt", "the prompt", MILD, DARK, 1.0, 4.0, pytest.approx(1 - probability), "contrast"
    )
    seen = {pair(Random(seed)).chosen: pair(Random(seed)) for seed in range(30)}
    assert seen[DARK] == kept
    assert seen[MILD] == flipped


@pytest.mark.parametrize(("scores", "probability"), [((4.0, 1.0), 0.7311), ((1.0, 4.0), 0.2689), ((2.0, 2.0), 0.5)])
def test_labels_are_drawn_with_the_rule_s_probability(scores, probability):
    rng = Random("labels")
    drawn = Counter(pair(rng, scores).chosen for _ in range(4000))
    # Three standard deviations of a share of 4000 draws are at most 0.024.
    assert drawn[DARK] / 4000 == pytest.approx(probability, abs=0.024)


def test_noise_flips_labels_whatever_the_scores_say_and_is_part_of_their_probability():
    rng = Random("noise")
    records = [pair(rng, (1000.0, 0.0), noise=0.2) for _ in range(4000)]
    kept = [record for record in records if record.chosen == DARK]
    assert len(kept) / 4000 == pytest.approx(0.8, abs=0.02)
    assert sorted({record.p_chosen for record in records}) == pytest.approx([0.2, 0.8])
    # 0.6 * sigmoid(1) + 0.2
    drawn = [record.p_chosen for record in (pair(rng, noise=0.2) for _ in range(50)) if record.chosen == DARK]
    assert drawn[0] == pytest.approx(0.6 / (1 + math.exp(-1)) + 0.2)


def test_a_label_that_is_certain_is_never_flipped():
    rng = Random(1)
    records = [pair(rng, scores, temperature=1e-3) for scores in ((4.0, 1.0), (1.0, 4.0)) for _ in range(50)]
    assert {(r.chosen_score, r.rejected_score, r.p_chosen) for r in records} == {(4.0, 1.0, 1.0)}


def test_every_pair_takes_one_number_of_the_stream():
    rng, twin = Random(3), Random(3)
    for scores in ((4.0, 1.0), (1e6, 0.0), (0.0, 1e6), (1.0, 1.0)):
        pair(rng, scores, temperature=1.0)
        twin.random()
    assert rng.random() == twin.random()


def test_ceiling_is_the_mean_of_the_likelier_label_s_probability():
    assert ceiling([record(0.9), record(0.2), record(0.5)]) == pytest.approx((0.9 + 0.8 + 0.5) / 3)


def test_flipped_share_counts_labels_below_one_half():
    assert flipped_share([record(0.9), record(0.2), record(0.5), record(0.49)]) == 0.5


def test_the_flipped_share_of_drawn_labels_meets_the_ceiling():
    rng = Random("many")
    records = [pair(rng, (place % 10, 4.5), temperature=2.0) for place in range(5000)]
    # Flips are Bernoulli(min(p, 1 - p)); three standard deviations of the share are at most 0.021.
    assert flipped_share(records) == pytest.approx(1 - ceiling(records), abs=0.021)
