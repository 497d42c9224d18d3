"""How good captions are: BLEU, ROUGE-L, CIDEr and CIDEr-D without Java."""

from pipelines.metrics.cider import CiderScorer, DocumentFrequencies
from pipelines.metrics.coco_results import read_results, write_results
from pipelines.metrics.evaluate import Diversity, Scores, evaluate_captions, signature
from pipelines.metrics.tokenizer import tokenize

__all__ = [
    "CiderScorer",
    "Diversity",
    "DocumentFrequencies",
    "Scores",
    "evaluate_captions",
    "read_results",
    "signature",
    "tokenize",
    "write_results",
]
