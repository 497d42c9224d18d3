"""Scores of sentences: BLEU, ROUGE-L, CIDEr and CIDEr-D without Java, and the word error rate.

The scorers return fractions, as in the papers' equations (`bleu`, `rouge_l`, `CiderScorer`, …).
`Scores`, and whatever is printed or written, has one scale: 0 to 100 (CIDEr: 0 to 1000).
The scores of translations are in `pipelines.evaluation.metrics.translation`.
"""
