"""Speed of training and search of the captioner on cached features, relative to matrix products.

    python -m benchmarks.captioner [--source FLICKR8K_DIR] [--run RUN]

Trains on features of 49 cells × 1280 (random: the speed does not depend on them) in batches of 64,
and searches with 5 beams in batches of 100. Caption lengths are those of Flickr8k's training
captions if `--source` is its folder, else sampled with the same mean and standard deviation. An
untrained model never ends a caption: all are as long as the longest of a hundred real ones. With
`--run`, a finished `image-captioning` run also captions 1,000 images of its first test split. Close
other programs first.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.media.vocabulary import END, PAD, START
from data.media.words import tokenize
from models.encoder_head import EncoderHead, apply_backbone
from models.encoders.image import ImageEncoder
from models.heads.sequence_decoder import SequenceDecoder
from models.layers.linear import ProductPolicy, use_policy
from models.search.beam_search import beam_search
from models.search.hypotheses import SearchOptions
from pipelines.config.config import Config
from pipelines.inputs.batches import Captions, caption_batches
from pipelines.inputs.tables import ImageTable
from pipelines.tasks.assembly import load_experiment
from pipelines.tasks.caption_head import CaptionHead
from pipelines.training.trainer import Trainer

CELLS, FEATURES, VOCABULARY, UNITS, BATCH, BEAMS = 49, 1280, 2538, 512, 64, 5
LONGEST = 18  # words of the longest of a hundred real captions


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the mean seconds of a call, after a warm-up call."""
    work()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def matmul_peak(dtype: tf.DType, size: int = 2048) -> float:
    """Return the best rate of a large square product, in FLOP per second."""
    a = tf.cast(tf.random.normal([size, size]), dtype)
    product = tf.function(lambda: tf.matmul(a, a))
    return 2 * size**3 / min(seconds(product, 5) for _ in range(3))


def caption_lengths(source: Path | None) -> np.ndarray:
    """Return the number of words of each training caption."""
    if source is None:
        return np.clip(np.random.default_rng(0).normal(10.8, 3.8, 30_000), 3, 20).astype(int)
    train = set((source / "Flickr_8k.trainImages.txt").read_text().split())
    lines = (source / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines)
    return np.array([min(20, len(tokenize(text))) for name, text in pairs if name[:-2] in train])


def training_flops(decoder: str, steps: int) -> float:
    """Return the FLOP of all products in a training step of a batch of `steps` time steps.

    A product of an `[m, k]` by a `[k, n]` matrix is 2 m k n, and as many for each of the two
    gradients (one for the features, which need none).
    """
    attention_units, depth = UNITS // 2, UNITS
    once = 2 * BATCH * CELLS * FEATURES * depth * 2  # features → memory: forward and W's gradient
    once += 3 * 2 * BATCH * CELLS * depth * attention_units  # keys
    gates = 4 * UNITS
    step = UNITS * (gates + attention_units) + 2 * CELLS * (attention_units + depth) // 2
    if decoder == "show-attend-tell":
        step += (
            UNITS * (gates + attention_units) + depth * gates + UNITS * depth
        )  # W_x, context, gate
        output = UNITS + depth
    else:
        step += UNITS * gates + UNITS * gates + (depth + UNITS) * gates + UNITS * gates
        output = UNITS
    step += output * UNITS + UNITS * VOCABULARY
    return once + 3 * 2 * BATCH * steps * step


def synthetic_captions(lengths: np.ndarray) -> tuple[Captions, ImageTable]:
    """Return random captions of these lengths, and random features."""
    rng = np.random.default_rng(0)
    rows = rng.random((500, 1, CELLS, FEATURES), np.float32).astype(np.float16)
    table = ImageTable(tuple(map(str, range(500))), rows)
    tokens = [
        np.array([START, *rng.integers(4, VOCABULARY, n), END], np.int32) for n in lengths.tolist()
    ]
    return Captions(tokens, rng.integers(0, 500, len(tokens))), table


def untrained_model(decoder: str) -> EncoderHead:
    """Return a captioner without a backbone: its inputs are features."""
    encoder = ImageEncoder(UNITS)
    encoder.build((None, CELLS, FEATURES))
    head = SequenceDecoder(VOCABULARY, decoder=decoder, units=UNITS, embedding=UNITS)
    return EncoderHead(None, encoder, head)


def train_rate(decoder: str, precision: str, lengths: np.ndarray, tmp: Path) -> tuple[float, float]:
    """Return captions and FLOP per second of 60 steps with the whole input pipeline."""
    captions, table = synthetic_captions(lengths)
    config = Config(decoder=decoder, precision=precision, batch_size=BATCH)
    trainer = Trainer(untrained_model(decoder), config, tmp, len(lengths) // BATCH)
    epoch = caption_batches(captions, table, BATCH, per_row=0, seed=0, epoch=0)
    trainer.step.trace(epoch, fine_tune=False)
    count = flops = 0.0
    start = 0.0
    for number, (rows, targets) in enumerate(epoch):
        if number == 10:
            start = time.perf_counter()
        trainer._train_step((rows, targets), epoch=0)
        if number >= 10:
            count += len(targets[1])
            flops += training_flops(decoder, targets[0].shape[1] - 1)
        if number == 69:
            break
    spent = time.perf_counter() - start
    return count / spent, flops / spent


def search_rate(decoder: str, precision: str) -> float:
    """Return captions per second by beam search, every batch `LONGEST` words long."""
    model = untrained_model(decoder)
    bias = np.zeros(VOCABULARY, np.float32)
    bias[[PAD, START, END]] = -9  # so that no caption ends early
    model.head.bias.assign(bias)
    options = SearchOptions(beams=BEAMS, length_penalty=1.0, max_words=LONGEST)
    features = tf.random.uniform([100, CELLS, FEATURES])

    @tf.function
    def search() -> Any:
        with use_policy(model, ProductPolicy(precision)):
            step, state, cache = model.head.prepare_search(model.encoder(features))
            return beam_search(step, state, cache, 100, options)

    return 100 / seconds(lambda: search().tokens.numpy(), 5)


def run_search_rate(run: Path, precision: str, n_best: int) -> tuple[float, float]:
    """Return the captions per second of a trained model, and their mean number of words."""
    experiment = load_experiment(run)
    config, model, head = experiment.config, experiment.model, experiment.head
    assert isinstance(head, CaptionHead)
    part: Any = model.top or model.backbone
    table = experiment.source.table(experiment.test_splits[0], config.epochs)
    options = dataclasses.replace(head.options, n_best=n_best)

    @tf.function(reduce_retracing=True)
    def search(features: tf.Tensor) -> tf.Tensor:
        with use_policy(model, ProductPolicy(precision)):
            step, state, cache = model.head.prepare_search(model.encoder(features))
            return beam_search(step, state, cache, tf.shape(features)[0], options).tokens

    batches = []
    for start in range(0, min(1000, len(table.ids)), 100):
        inputs = tf.constant(table.read(np.arange(start, min(start + 100, len(table.ids)))))
        batches.append(apply_backbone(part, inputs) if inputs.shape.rank == 4 else inputs)
    tokens = [search(batch) for batch in batches]  # warm-up
    words = np.mean(np.concatenate([np.sum(each[:, 0] > END, axis=1) for each in tokens]))
    return sum(map(len, batches)) / seconds(lambda: [search(b).numpy() for b in batches], 2), words


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="Flickr8k's folder, for its caption lengths")
    parser.add_argument("--run", type=Path, help="a finished run of image-captioning")
    arguments = parser.parse_args()
    lengths = caption_lengths(arguments.source)
    peak = matmul_peak(tf.float32)
    print(f"float32 product 2048³: {peak / 1e9:.0f} GFLOP/s (the peak in the table)")
    print(f"bfloat16 product 2048³: {matmul_peak(tf.bfloat16) / 1e9:.0f} GFLOP/s")
    print(f"caption lengths: mean {lengths.mean():.1f} words")
    print("| decoder | precision | trained captions/s | share of the peak | decoded captions/s |")
    print("|---|---|---|---|---|")
    for decoder in ("show-attend-tell", "updown"):
        for precision in ("float32", "bfloat16"):
            with tempfile.TemporaryDirectory() as tmp:
                rate, flops = train_rate(decoder, precision, lengths, Path(tmp))
            found = search_rate(decoder, precision)
            print(f"| {decoder} | {precision} | {rate:.0f} | {flops / peak:.0%} | {found:.0f} |")
    for precision in ("float32", "bfloat16") if arguments.run else ():
        for n_best in (1, BEAMS):
            found, words = run_search_rate(arguments.run, precision, n_best)
            print(
                f"{arguments.run.name}, {precision}, {n_best} best: {found:.0f} images/s, "
                f"captions of {words:.1f} words"
            )


if __name__ == "__main__":
    main()
