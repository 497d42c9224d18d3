"""Under what terms the data can be had, for the card of a model that learned from it."""

from __future__ import annotations

_MADE = "made by Wordreel itself, free of the rights of others"
_OWN = "that of whoever trained the model: see there"
_SNIPPETS = "none stated by its distributor; snippets of film reviews by their authors"
_FLICKR = "photos of Flickr users, under terms of their own; given out for non-commercial research"

_LICENCES = {
    "scenes": _MADE,
    "opinions": _MADE,
    "drawn-clips": _MADE,
    "phrasebook": _MADE,
    "digits": "CC BY 4.0 (Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49)",
    "folder": _OWN,
    "pictures": _OWN,
    "pairs": _OWN,
    "texts": _OWN,
    "clip-folder": _OWN,
    "flickr8k": _FLICKR,
    "flickr30k": _FLICKR,
    "coco": "captions CC BY 4.0; photos of Flickr users, under terms of their own",
    "coco_captions": "captions CC BY 4.0; photos of Flickr users, under terms of their own",
    "sst2": _SNIPPETS,
    "rt-polarity": _SNIPPETS,
    "kinetics": "annotations CC BY 4.0; clips of YouTube users, under terms of their own",
    "vatex": "captions CC BY 4.0; clips of YouTube users, under terms of their own",
}


def licence_of(dataset: str) -> str:
    """Return the terms of a dataset in a few words.

    >>> licence_of("scenes")
    'made by Wordreel itself, free of the rights of others'
    """
    return _LICENCES.get(dataset, "see its distributor")
