"""The gain of `--init-from`: captions of a theme with 200 images, with and without a first run.

    python -m benchmarks.init_from FLICKR8K_DIR WORK_DIR

The theme is every image with a word for snow in a caption. The first run trains on other images of
the training split, the second one on 200 images of the theme alone; the third one starts from the
first and trains on these 200. All are scored on the same other images of the theme, which no run
has seen. The same command resumes it.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipelines.evaluation.intervals import format_interval
from pipelines.evaluation.metrics.captions import evaluate_captions
from pipelines.evaluation.metrics.coco_results import read_results

THEME = re.compile(r"\b(snow\w*|ski|skis|skier\w*|skiing|sled\w*)\b", re.IGNORECASE)
GENERAL, FEW, VALIDATION = 3000, 200, 100  # images
MODEL = (
    "--backbone MobileNetV2 --image-size 160 --no-flips --fine-tune-from none --units 256 "
    "--scst-epochs 0"
)


def main(source: Path, work: Path, weights: str) -> None:
    """Write the two datasets, train the three runs and print their scores on the theme."""
    captions = read_captions(source)
    train = sorted(set((source / "Flickr_8k.trainImages.txt").read_text().split()) & {*captions})
    development = (source / "Flickr_8k.devImages.txt").read_text().split()
    theme = {name for name in captions if any(map(THEME.search, captions[name]))}
    own, others = (
        [name for name in train if (name in theme) == wanted] for wanted in (True, False)
    )
    test = [name for name in [*own[FEW + VALIDATION :], *sorted(development)] if name in theme]
    parts = {
        "general": (others[:GENERAL], others[GENERAL : GENERAL + VALIDATION]),
        "theme": (own[:FEW], own[FEW : FEW + VALIDATION]),
    }
    for name, (training, validation) in parts.items():
        splits = {"train": training, "validation": validation, "test": test}
        write_folder(work / name, source / "images", splits, captions)
    runs = {
        "other images only": ("general", "--epochs 5"),
        "the theme only": ("theme", "--epochs 10"),
        "the theme, --init-from": (
            "theme",
            f"--epochs 10 --learning-rate 3e-4 --init-from {work / 'other-images-only'}",
        ),
    }
    for title, (data, more) in runs.items():
        folder = work / re.sub(r"\W+", "-", title)
        words = f"--data folder --source {work / data} --weights {weights} {MODEL} {more}"
        words += f" --run-dir {folder}"
        subprocess.run([sys.executable, "train.py", *words.split()], check=True)
        predicted = read_results(folder / "predictions-test.json")
        scores = evaluate_captions(predicted, {name: captions[name] for name in test})
        found = [
            f"{name} {scores.corpus[name]:.1f}{format_interval(scores.intervals(), name)}"
            for name in ("CIDEr-D", "BLEU-4")
        ]
        print(f"RESULT {title}: {'  '.join(found)}  ({len(test)} images)", flush=True)


def read_captions(source: Path) -> dict[str, list[str]]:
    """Return the captions of each image."""
    captions: dict[str, list[str]] = {}
    for line in (source / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        name, text = line.split("\t")
        captions.setdefault(name.partition("#")[0], []).append(text)
    return captions


def write_folder(
    folder: Path,
    images: Path,
    splits: Mapping[str, Iterable[str]],
    captions: Mapping[str, Iterable[str]],
) -> None:
    """Write a dataset of type `folder`, its images as links."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "split"])
        for split, names in splits.items():
            for name in names:
                link = folder / "images" / name
                if not link.exists():
                    link.symlink_to((images / name).absolute())
                writer.writerows([name, text, split] for text in captions[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path, metavar="FLICKR8K_DIR")
    parser.add_argument("work", type=Path, metavar="WORK_DIR")
    parser.add_argument("--weights", default="imagenet", help="of MobileNetV2")
    given = parser.parse_args()
    main(given.source, given.work.absolute(), given.weights)
