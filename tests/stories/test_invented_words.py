import random
import re

from picollm.stories.invented import invented_entries
from picollm.stories.invented_words import vocabulary


def test_any_word_may_be_whole_cut_joined_made_up_or_odd():
    rng = random.Random(10)
    entries = [entry for _ in range(500) for entry in invented_entries(rng, 4)]
    found = " ".join(entries).split()
    assert len(set(found) & set(vocabulary())) > 800
    for word in ("corpse", "puppies", "without", "corridor"):  # of the grammar's shades and of the everyday lists
        assert word in vocabulary()
    unknown = [word for word in found if re.fullmatch("[a-z]{4,}", word) and word not in vocabulary()]
    assert len(unknown) > 0.1 * len(found)
