"""The component that checks a generator's drawings for copies of training pictures."""

from pathlib import Path

import numpy as np
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples, ModelBlessing
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from tfx_pipeline.components.artifacts import Copies, Pictures
from tfx_pipeline.judging.copying import FILE, KEPT, Suspects, neighbours, training_pictures
from tfx_pipeline.judging.gallery import read_exhibits


@component
def CopyCheck(
    examples: InputArtifact[Examples],
    pictures: InputArtifact[Pictures],
    name: Parameter[str],
    most: Parameter[float],
    copies: OutputArtifact[Copies],
    blessing: OutputArtifact[ModelBlessing],
) -> None:
    """Bless a model if at most a share `most` of its drawings are copies of training pictures.

    The share of held-out real pictures that look like copies is subtracted first, because data may contain duplicates.
    `examples` are transformed ones; `pictures` come from the model's Gallery.
    """
    Path(copies.uri).mkdir(parents=True, exist_ok=True)
    shown, share, usual = read_exhibits(pictures.uri), 0.0, 0.0
    if shown is not None:
        folder, side = Path(artifact_utils.get_split_uri([examples], "train")), shown.truth.shape[1]
        drawn, real = (neighbours(some, training_pictures(folder, side)) for some in (shown.candidate, shown.truth))
        share, usual = drawn.copied, real.copied
        rows = np.argsort(drawn.isolation, kind="stable")[:KEPT]
        suspects = Suspects(shown.captions[rows], shown.candidate[rows], drawn.nearest[rows], drawn.isolation[rows])
        np.savez_compressed(Path(copies.uri) / FILE, **suspects._asdict())
    blessing.set_int_custom_property("blessed", int(share - usual <= most))
    blessing.set_string_custom_property("model", name)
    for key, value in {"share": share, "usual": usual, "most": most}.items():
        blessing.set_float_custom_property(key, value)
