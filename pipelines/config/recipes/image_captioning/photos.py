"""Any photos, such as your own folder: soft attention and a partly fine-tuned pretrained backbone.

Paper:    Xu et al. 2015, "Show, Attend and Tell"
Command:  python train.py image-captioning --data folder --source DIR
Time:     proportional to the images (features, computed once) and the captions (every epoch)
Expected: depends on the images; see the recipe `flickr8k` for a public dataset
"""

from pipelines.config.config import Config

CONFIG = Config(
    data="folder",
    # Model
    backbone="efficientnet-lite2",
    fine_tune_from=3,
    fine_tune_layers="top",
    fine_tune_learning_rate=1e-4,
    flips=True,
    # Optimizer
    weight_decay=1.0,
    epochs=6,
    patience=6,
    scst_epochs=2,
)
