"""Any captioned video clips, such as your own folder: a frozen pretrained backbone and an LSTM.

Paper:    Yao et al. 2015, "Describing Videos by Exploiting Temporal Structure" (SA-LSTM)
Command:  python train.py video-captioning --data clip-folder --source DIR
Time:     proportional to the frames (features, computed once) and the captions (every epoch)
Expected: depends on the clips
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="video-captioning",
    data="clip-folder",
    # Optimizer
    weight_decay=1.0,
    patience=4,
)
