"""Small data sets of the kinds that people bring, each odd in one way, by name."""

from collections.abc import Callable
from pathlib import Path

from conftest import SENTENCES


def table(
    text: str = "{text}",
    header: str = "text,label",
    names: tuple[str, str] = ("negative", "positive"),
    splits: tuple[str, ...] = ("train.csv", "validation.csv"),
    line: str = '"{text}",{label}',
) -> Callable[[Path], None]:
    """The sentences as CSV; `names` are what the two classes are written as."""

    def build(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for split in splits:
            part = SENTENCES if split.lower().startswith("train") else SENTENCES[::5]
            lines = [
                line.format(
                    text=text.format(text=sentence),
                    label=names[label == "positive"],
                    number=number,
                    flag=int(label == "positive"),
                    film=int("film" in sentence),
                )
                for number, (sentence, label) in enumerate(part)
            ]
            (folder / split).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")

    return build


def several(*builds: Callable[[Path], None]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for each in builds:
            each(folder)

    return build


def raw(content: bytes | str, name: str = "validation.csv") -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return build


DATA: dict[str, Callable[[Path], None]] = {
    "words": table(),
    "capitals": table(names=("NEGATIVE", "Positive")),
    "blanks": table(names=(" negative", "positive  ")),
    "numbers": table(names=("0", "1")),
    "numbers from 1": table(names=("1", "2")),
    "whole floats": table(names=("0.0", "1.0")),
    "floats": table(names=("0.25", "1.5")),
    "stars": table(names=("1", "5")),
    "true and false": table(names=("False", "True")),
    "other words": table(names=("bad", "good")),
    "short words": table(names=("neg", "pos")),
    "None as a class": table(names=("None", "positive")),
    "n/a as a class": table(names=("n/a", "NA")),
    "one class": table(names=("positive", "positive")),
    "two spellings": several(table(), raw("text,label\na,Positive\nb,positive\nc,negative\n", "train.csv")),
    "blanks in training": several(
        table(), raw("text,label\na,positive \nb,positive\nc,negative\n", "train.csv")
    ),
    "val": table(splits=("train.csv", "val.csv")),
    "dev": table(splits=("train.csv", "dev.csv")),
    "valid": table(splits=("train.csv", "valid.csv")),
    "Capital Dev": table(splits=("Train.csv", "Dev.csv")),
    "tsv": table(splits=("train.tsv", "validation.tsv"), header="text\tlabel", line="{text}\t{label}"),
    "shards": table(splits=("train-00000-of-00001.csv", "validation-00000-of-00001.csv")),
    "a shard missing": table(splits=("train-00000-of-00002.csv", "validation.csv")),
    "train alone": table(splits=("train.csv",)),
    "train and holdout": table(splits=("train.csv", "holdout.csv")),
    "test alone": table(splits=("test.csv",)),
    "val and dev": table(splits=("train.csv", "val.csv", "dev.csv")),
    "a split twice": table(splits=("train.csv", "validation.csv", "validation.tsv")),
    "one flag": table(header="text,spam", line='"{text}",{flag}'),
    "flags": table(header="text,film,good", line='"{text}",{film},{flag}'),
    "target and a flag": table(header="text,target,is_reply", line='"{text}",{flag},{film}'),
    "column labels": table(header="text,labels"),
    "column sentiment": table(header="text,sentiment"),
    "column review": table(header="review,label"),
    "more columns": table(header="id,text,label,body", line='{number},"{text}",{label},long'),
    "row numbers": table(header=",text,label", line='{number},"{text}",{label}'),
    "pairs and text": table(
        header="premise,hypothesis,text,label", line='"{text}","{text}","{text}",{label}'
    ),
    "pairs": table(header="sentence1,sentence2,label", line='"{text}","{text}",{label}'),
    "separator ;": table(header="text;label", line="{text};{label}"),
    "no quotes": table(line="{text}, so it is,{label}"),
    "no label": table(header="text,by,place", line='"{text}",me,here'),
    "a number in each row": table(header="text,label", line='"{text}",{number}'),
    "byte order mark": several(table(), raw("\ufefftext,label\na fine film,positive\n")),
    "latin-1": several(table(), raw("text,label\ncaf\xe9,positive\n".encode("latin-1"))),
    "UTF-16": several(table(), raw("text,label\nfine,positive\n".encode("utf-16"))),
    "empty file": several(table(), raw("")),
    "headings only": several(table(), raw("text,label\n")),
    "an empty text": several(table(), raw('text,label\nfine,positive\n"",negative\n')),
    "an empty label": several(table(), raw("text,label\nfine,positive\nfair,\n")),
    "a cell missing": several(table(), raw("text,label\nfine,positive\nfair\n")),
    "a class of its own": several(table(), raw("text,label\nfine,positive\nfair,neutral\n")),
    "a huge text": several(table(), raw(f"text,label\n{'word ' * 20_000},positive\nfair,negative\n")),
    "no split": several(lambda folder: folder.mkdir(parents=True)),
    "JSON cut off": several(table(splits=("train.csv",)), raw('{"text": "a", "la', "validation.jsonl")),
    "JSON lists": several(
        table(splits=("train.csv",)), raw('{"text": "a", "label": [1]}\n', "validation.jsonl")
    ),
    "JSON of one kind and another": several(
        table(splits=("train.csv",)),
        raw('{"text": "a", "label": 1}\n{"text": "b", "label": "positive"}\n', "validation.jsonl"),
    ),
    "no Parquet": several(table(splits=("train.csv",)), raw(b"PAR1 nothing PAR1", "validation.parquet")),
    "brackets in its name [v2]": table(),
    "a blank and # in its name": table(),
}
