"""The table of networks for generators, from which `drawing.network` selects one; it does not import them."""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """A network for a generator.

    Attributes:
        name: Its name in `drawing.network`.
        recipe: Its training function, as `module:function`, with the arguments of
            `models.learning.recipes.learn_to_draw`. It returns a `models.drawing.Drawer`; the model that it passes to
            `fit` has this as its attribute `generator`.
        section: The section inside `[drawing]` with its settings; empty if they are in `[drawing]` itself.
        fineness: Side of its training pictures, in units of `data.picture_size`.
    """

    name: str
    recipe: str
    section: str = ""
    fineness: int = 1

    @property
    def learn(self) -> Callable[..., Any]:
        """The training function, imported."""
        return pkgutil.resolve_name(self.recipe)


PLANE = Network("plane", recipe="models.learning.plane:learn_plane")
SCENES = Network("scenes", recipe="models.learning.scenes:learn_scenes", section="scenes", fineness=2)
PHOTO = Network("photo", recipe="models.learning.photos:learn_photos", section="photo")
NETWORKS = {network.name: network for network in (PLANE, SCENES, PHOTO)}
