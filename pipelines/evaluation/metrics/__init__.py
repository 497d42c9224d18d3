"""How good sentences are: of captions BLEU, ROUGE-L, CIDEr and CIDEr-D without Java.

Those of translations stand in `pipelines.evaluation.metrics.translation`, which imports sacreBLEU.
"""

from pipelines.evaluation.metrics.captions import (
    CAPTIONS,
    Diversity,
    Metrics,
    Scores,
    evaluate_captions,
    signature,
)
from pipelines.evaluation.metrics.cider import CiderScorer, DocumentFrequencies
from pipelines.evaluation.metrics.coco_results import read_results, write_results
from pipelines.evaluation.metrics.tokenizer import tokenize

__all__ = [
    "CAPTIONS",
    "CiderScorer",
    "Diversity",
    "DocumentFrequencies",
    "Metrics",
    "Scores",
    "evaluate_captions",
    "read_results",
    "signature",
    "tokenize",
    "write_results",
]
