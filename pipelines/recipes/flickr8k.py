"""Flickr8k, less than 45 minutes on 2 CPU cores: BLEU-4 of at least 23, CIDEr-D of at least 55.

Paper:    Anderson et al. 2018, "Bottom-Up and Top-Down Attention" (the decoder);
          Xu et al. 2015, "Show, Attend and Tell", has BLEU-4 21.3 on the test part
Command:  python train.py image-captioning --data flickr8k --source DIR
Time:     less than 45 minutes on 2 CPU cores, of which the features take 10, once
Expected: BLEU-4 at least 23, CIDEr-D at least 55, ROUGE-L at least 46 on `validation`
"""

from pipelines.config import Config

CONFIG = Config(
    data="flickr8k",
    test_splits="validation,test",
    backbone="efficientnet-lite0",
    flips=True,
    decoder="updown",
    epochs=15,
)
