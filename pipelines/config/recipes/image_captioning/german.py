"""German captions of Flickr8k photos from Multi30k: another language needs only other data.

Paper:    Elliott et al. 2016, "Multi30K: Multilingual English-German Image Descriptions"; the model
          is that of the recipe `flickr8k`
Command:  python train.py image-captioning --recipe german --source DIR
          DIR contains Multi30k's files and Flickr8k's images/ (a link works).
Time:     less than the recipe `flickr8k`, because each photo has one caption; not measured
Expected: not measured
"""

import dataclasses

from pipelines.config.recipes.image_captioning.photos import CONFIG as PHOTOS

CONFIG = dataclasses.replace(PHOTOS, data="multi30k-de", min_count=3)
