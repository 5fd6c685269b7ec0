"""The networks that can draw: `drawing.network` in the settings chooses one. Nothing here loads a network."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """One way to draw.

    Attributes:
        name: What `drawing.network` calls it.
        recipe: Where its training stands, as `module:function`. It takes what `models.learning.recipes.learn_to_draw`
            takes and returns a `models.drawing.Drawer`; what it hands to `fit` holds that one as `generator`.
        section: The section inside `[drawing]` with its settings; empty where they stand in `[drawing]` itself.
        fineness: Side of the pictures that it learns from, in units of `data.picture_size`.
    """

    name: str
    recipe: str
    section: str = ""
    fineness: int = 1

    @property
    def learn(self) -> Callable[..., Any]:
        """The recipe, loaded."""
        return pkgutil.resolve_name(self.recipe)


PLANE = Network("plane", recipe="models.learning.plane:learn_plane")
SCENES = Network("scenes", recipe="models.learning.scenes:learn_scenes", section="scenes", fineness=2)
PHOTO = Network("photo", recipe="models.learning.photos:learn_photos", section="photo")
NETWORKS = {network.name: network for network in (PLANE, SCENES, PHOTO)}
