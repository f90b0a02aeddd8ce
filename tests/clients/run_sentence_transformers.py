"""Vectors of texts by sentence-transformers: FOLDER [TARGET]; texts as a JSON list on standard input.

Prints the vectors as JSON; with TARGET it also saves the model there, as sentence-transformers does.
"""

import json
import sys

from sentence_transformers import SentenceTransformer


def main(folder: str, target: str | None = None) -> None:
    model = SentenceTransformer(folder, device="cpu")
    vectors = model.encode(json.load(sys.stdin))
    if target is not None:
        model.save_pretrained(target)
    print(json.dumps({"vectors": vectors.tolist(), "longest": model.max_seq_length}))


if __name__ == "__main__":
    main(*sys.argv[1:])
