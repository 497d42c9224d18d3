"""Any labeled video clips, such as your own folder: a frozen pretrained backbone and an LSTM.

Paper:    Donahue et al. 2015, "Long-term Recurrent Convolutional Networks" (LRCN)
Command:  python train.py action-recognition --data clip-folder --source DIR
Time:     proportional to the frames (features, computed once) and the clips (every epoch)
Expected: depends on the clips
"""

from pipelines.config.config import Config

CONFIG = Config(
    task="action-recognition",
    data="clip-folder",
    # Model
    units=256,
    # Optimizer
    epochs=20,
    patience=6,
    batch_size=16,
    warmup_steps=50,
    class_weights=True,
)
