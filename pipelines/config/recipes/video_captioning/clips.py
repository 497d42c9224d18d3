"""Any clips told in sentences, your own for one: a pretrained backbone, frozen, and an LSTM.

Paper:    Yao et al. 2015, "Describing Videos by Exploiting Temporal Structure" (SA-LSTM)
Command:  python train.py video-captioning --data clip-folder --source DIR
Time:     grows with the frames (features, once) and the captions (every epoch)
Expected: depends on the clips
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="video-captioning",
    data="clip-folder",
    backbone="efficientnet-lite0",
    units=512,
    weight_decay=1.0,
    epochs=10,
    patience=4,
)
