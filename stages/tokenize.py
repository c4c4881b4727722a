"""tokenize: corpus -> data/tokenizer/, data/tokens/{train,validation}.npy and counts.json"""

from dataclasses import asdict
from pathlib import Path

from picollm.core import config, entry, files
from picollm.records.parquet import evenly_spaced_texts, read_corpus
from picollm.text.settings import TokenizerSettings
from picollm.text.tokenizer import gpt2_tokenizer, load_tokenizer, train_bpe
from picollm.text.tokens import write_tokens

BATCH_ROWS = 1000
TRAINING_ROWS = 100_000  # documents to train the BPE on: more hardly change it, but every new word takes memory


def main():
    p = config.load(TokenizerSettings)
    base = Path("data/base/model")
    if base.is_dir():
        tokenizer = load_tokenizer(base)
    elif p.tokenizer == "gpt2":
        tokenizer = gpt2_tokenizer()
    else:
        texts = evenly_spaced_texts("data/corpus/train.parquet", BATCH_ROWS, TRAINING_ROWS)
        tokenizer = train_bpe(texts, p.vocabulary)
    tokenizer.save("data/tokenizer")
    numbers = {"vocabulary": tokenizer.vocab_size}
    for split in ("train", "validation"):
        batches = read_corpus(f"data/corpus/{split}.parquet", BATCH_ROWS)
        counts = write_tokens(batches, tokenizer, f"data/tokens/{split}.npy")
        numbers |= {f"{split}.{name}": value for name, value in asdict(counts).items()}
        numbers[f"{split}.tokens_per_document"] = counts.tokens / counts.documents
    files.write_json("data/tokens/counts.json", numbers)


if __name__ == "__main__":
    entry.run(main)
