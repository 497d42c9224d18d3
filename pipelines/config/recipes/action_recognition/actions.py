"""Any clips and labels, your own for one: a pretrained backbone, frozen, and an LSTM.

Paper:    Donahue et al. 2015, "Long-term Recurrent Convolutional Networks" (LRCN)
Command:  python train.py action-recognition --data clip-folder --source DIR
Time:     grows with the frames (features, once) and the clips (every epoch)
Expected: depends on the clips
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="action-recognition",
    data="clip-folder",
    backbone="efficientnet-lite0",
    units=256,
    epochs=20,
    patience=6,
    batch_size=16,
    warmup_steps=50,
    class_weights=True,
)
