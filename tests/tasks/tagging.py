"""Small treebanks, for the tests: a word's tag follows from its last letter and the word before."""

import random
import tempfile
from pathlib import Path

from unroll.data.examples.features import written_features
from unroll.tasks import TagData, TagOptions, prepare

STEMS = ("ba", "do", "ki", "lu", "me", "no", "pa", "ra", "su", "te", "vi", "zo")


def sentences(count=80, seed=0, *, joined=False, spans=False):
    """Lists of (word, tag)."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        own, before = [], "X"
        for _ in range(rng.randint(1, 9)):
            word = "".join(rng.choices(STEMS, k=rng.randint(1, 3))) + rng.choice("nsr")
            tag = {"n": "NOUN", "s": "VERB", "r": "ADJ"}[word[-1]]
            if joined and word[-1] == "s":
                tag = "VV+EC" if len(word) > 4 else "NN+XSV+EF"
            if spans:
                tag = "O" if word[-1] == "n" else ("I-" if before.endswith(f"-{tag}") else "B-") + tag
            own.append((word, tag))
            before = tag
        made.append(own)
    return made


def inflected(count=80, seed=0):
    """Lists of (word, features): case follows from the last letter, number from the first."""
    made = []
    for own in sentences(count, seed):
        tags = []
        for word, _ in own:
            features = {
                "Case": {"n": "Nom", "s": "Gen"}.get(word[-1]),
                "Number": "Plur" if word[0] in "bdk" else "Sing",
            }
            tags.append(written_features({k: v for k, v in features.items() if v}))
        made.append([(word, tag) for (word, _), tag in zip(own, tags)])
    return made


def conllu(made):
    blocks = []
    for number, own in enumerate(made, 1):
        lines = [f"# sent_id = {number}", f"# text = {' '.join(w for w, _ in own)}"]
        lines += [f"{k}\t{w}\t_\t{t}\t{t}\t_\t0\t_\t_\t_" for k, (w, t) in enumerate(own, 1)]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks) + "\n"


def written(folder, made, name="a.conllu"):
    path = Path(folder) / name
    path.write_text(conllu(made), encoding="utf-8")
    return str(path)


def tag_task(made=None, *, joined=False, spans=False, reading=None, **options):
    made = sentences(joined=joined, spans=spans) if made is None else made
    with tempfile.TemporaryDirectory() as folder:
        return prepare(written(folder, made), TagData(**(reading or {})), options_of(options))


def options_of(options):
    return TagOptions(**{"embedding": 6, "letter_size": 4, "batch_tokens": 100} | options)
