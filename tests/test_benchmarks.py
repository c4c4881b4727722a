"""The benchmarks are run by hand; here only that they fit the code."""

import pytest

from benchmarks import jobs


@pytest.mark.parametrize("name", list(jobs.all_jobs("cpu")))
def test_a_job_in_a_trivial_size_has_a_shape_that_is_consistent(name):
    shape = jobs.tiny(jobs.all_jobs("cpu")[name]).shape
    assert shape.problem() is None
    assert shape.head_dim * shape.num_attention_heads == shape.hidden_size
