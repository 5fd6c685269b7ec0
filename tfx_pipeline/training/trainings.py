"""The training of each kind of model from the inputs of a Trainer."""

from collections.abc import Collection
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.calibration import calibrate
from models.drawing import Drawer
from models.language_model import LanguageModel
from models.learning.inputs import is_present
from models.learning.networks import NETWORKS
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.learning.stored import zeros_beside
from models.restorer import Restorer
from models.text import Tokenizer
from tfx_pipeline.ingesting.annotations import Annotations, Zeros, boxes_of, tags_of
from tfx_pipeline.training.job import Job, files
from tfx_pipeline.training.records import read_lines


def train_language_model(job: Job) -> LanguageModel:
    """Train the language model on captions, their pictures and tags, and lines of text.

    It is calibrated on held-out captions.
    """
    vocabulary = job.vocabulary()
    lines = read_lines(files(job.train_files), Tokenizer(vocabulary, job.config.data.caption_length))
    data, annotations = job.captioned()
    data = data._replace(tags=tags_for_slots(job, annotations, partial(zeros_beside, data.image)))
    model = learn_language(data, lines, vocabulary, job.config, fit=job.fit)
    withheld = job.withheld_captions()
    withheld = withheld[is_present(withheld)]
    share = calibrate(model, withheld)
    job.log(
        f"interpolation weight {share:.3f} (the rest is the unigram baseline), "
        f"chosen on {len(withheld)} withheld captions",
        phase=f"{job.model}_calibration",
        step=job.config.language.steps,
        share_of_guesses=share,
    )
    return model


def tags_for_slots(job: Job, annotations: Collection[Annotations], zeros: Zeros = np.zeros) -> NDArray[np.bool_] | None:
    """Tags of a thing for each slot but the last, which gets the picture's; None if there are too many things."""
    slots, most = job.config.language.slots, max((len(annotation.categories) for annotation in annotations), default=0)
    if most < slots:
        return tags_of(annotations, slots - 1, zeros=zeros)
    job.log(
        f"tags are ignored: some pictures show {most} things, but language.slots = {slots} has room for {slots - 1}"
    )
    return None


def train_generator(job: Job) -> Drawer:
    """Train the generator on pictures, the embeddings of their captions, and the boxes and tags of their things."""
    data, annotations = job.captioned(NETWORKS[job.config.drawing.network].fineness)
    things, zeros = job.config.drawing.scenes.things, partial(zeros_beside, data.image)
    boxes, tags = boxes_of(annotations, things, zeros=zeros), tags_of(annotations, things, zeros=zeros)
    data = data._replace(boxes=boxes, tags=tags)
    return learn_to_draw(data, job.base_model(), job.config, fit=job.fit)


def train_restorer(job: Job) -> Restorer:
    """Train the restorer on clean pictures, which the training damages."""
    return learn_to_restore(job.captioned()[0].image, job.config, fit=job.fit)
