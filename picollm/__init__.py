"""A laboratory for post-training small language models, run by DVC."""
