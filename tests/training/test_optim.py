import pytest

from picollm.training.optim import schedule
from tests.tiny import training


def test_the_schedule_warms_up_linearly_and_ends_at_its_final_share():
    settings = training(warmup=0.2, final_lr=0.1)
    assert [schedule(step, 10, settings) for step in (0, 1)] == [0.5, 1.0]
    # Half of the remaining eight steps: 0.1 + 0.9 * (1 + cos(pi / 2)) / 2 = 0.55.
    assert schedule(6, 10, settings) == pytest.approx(0.55)
    assert schedule(10, 10, settings) == pytest.approx(0.1)
