"""A world small enough to sum over: two prompts, sequences of at most four tokens, their probabilities and true rewards."""

from itertools import product

import numpy as np

TOKENS, LENGTH = 3, 4  # token 0 ends a sequence


class World:
    """`p` [P, S] of every sequence under the reference, and its reward `r` [P, S]."""

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.sequences = [
            body + (0,) * (len(body) < LENGTH)
            for length in range(LENGTH + 1)
            for body in product(range(1, TOKENS), repeat=length)
        ]
        chances = rng.dirichlet(np.ones(TOKENS), size=(2, LENGTH, TOKENS))  # of the next token, by place and last token
        self.p = np.array(
            [
                [
                    np.prod([chances[prompt, place, ([0, *s])[place], token] for place, token in enumerate(s)])
                    for s in self.sequences
                ]
                for prompt in range(2)
            ]
        )
        self.r = rng.normal(size=(2, len(self.sequences))) * 3 + np.array([[0.0], [5.0]])

    def tilted(self, t: float) -> np.ndarray:
        """pi_t of every sequence: [P, S]."""
        weights = self.p * np.exp(t * (self.r - self.r.max(axis=1, keepdims=True)))
        return weights / weights.sum(axis=1, keepdims=True)

    def reward(self, policy: np.ndarray) -> float:
        return float((policy * self.r).sum(axis=1).mean())

    def kl(self, policy: np.ndarray) -> float:
        return float((policy * np.log(policy / self.p)).sum(axis=1).mean())

    def kl_at(self, reward: float) -> float:
        """The least KL of any policy with this mean reward, by bisection on t."""
        low, high = 0.0, 50.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if self.reward(self.tilted(middle)) < reward else (low, middle)
        return self.kl(self.tilted(low))

    def draw(self, rng: np.random.Generator, policy: np.ndarray, count: int) -> np.ndarray:
        """Indices of `count` sequences a prompt: [P, count]."""
        return np.stack([rng.choice(len(self.sequences), size=count, p=p) for p in policy])

    def rewards(self, indices: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.r, indices, axis=1)
