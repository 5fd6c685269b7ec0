"""How each kind of model is trained on what a Trainer is given."""

from models.calibration import calibrate
from models.drawing import Drawer
from models.language_model import LanguageModel
from models.learning.inputs import is_present
from models.learning.networks import NETWORKS
from models.learning.recipes import learn_language, learn_to_draw, learn_to_restore
from models.restorer import Restorer
from models.text import Tokenizer
from tfx_pipeline.training.job import Job, files
from tfx_pipeline.training.records import read_lines


def train_language_model(job: Job) -> LanguageModel:
    """Train the language model on captions, their pictures and lines of text; withheld captions calibrate it."""
    vocabulary = job.vocabulary()
    lines = read_lines(files(job.train_files), Tokenizer(vocabulary, job.config.data.caption_length))
    model = learn_language(job.captioned(), lines, vocabulary, job.config, fit=job.fit)
    withheld = job.withheld_captions()
    withheld = withheld[is_present(withheld)]
    share = calibrate(model, withheld)
    job.log(
        f"its guesses count {share:.3f}, word counts the rest, by {len(withheld)} withheld captions",
        phase=f"{job.model}_calibration",
        step=job.config.language.steps,
        share_of_guesses=share,
    )
    return model


def train_generator(job: Job) -> Drawer:
    """Train the generator on pictures and the embeddings of their captions."""
    data = job.captioned(NETWORKS[job.config.drawing.network].fineness)
    return learn_to_draw(data, job.base_model(), job.config, fit=job.fit)


def train_restorer(job: Job) -> Restorer:
    """Train the restorer on pictures that it damages itself."""
    return learn_to_restore(job.captioned().image, job.config, fit=job.fit)
