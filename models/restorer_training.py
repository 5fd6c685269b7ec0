"""Training of the restorer on clean pictures, which the training damages."""

import numpy as np
from keras import ops

from models.damage import damage
from models.restorer_network import RestorerNetwork, prepared
from models.tensors import Tensor, to_float
from models.training import Losses, Training, Update

LEAST_ERROR = 1e-4
LEAST_SQUARE = 1e-6


class RestorerTraining(Training):
    """The restoration of damaged pictures.

    The loss is `ssim_weight` * (1 - SSIM) - `psnr_weight` * PSNR + `rmse_weight` * RMSE. The logarithm in the PSNR
    gives slight and heavy damage the same weight; a mean squared error would be dominated by heavy noise and holes. But
    under the same noise, the logarithm gives smooth patches many times the weight of textured ones; the RMSE is a
    compromise that suits patches of photographs.

    Args:
        restorer: The model to train.
        psnr_weight: Weight of a decibel of PSNR; gains above 46 dB count little.
        ssim_weight: Weight of one minus the structural similarity (Wang et al., 2004), for pictures from 11 pixels.
        rmse_weight: Weight of the root mean squared error of a picture in -1..1.
    """

    def __init__(
        self,
        restorer: RestorerNetwork,
        *,
        psnr_weight: float = 0.25,
        ssim_weight: float = 0.0,
        rmse_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.restorer = restorer
        self.psnr_weight = psnr_weight
        self.ssim_weight = ssim_weight
        self.rmse_weight = rmse_weight

    def updates(self) -> list[Update]:
        """One update of the restorer."""
        return [Update(self.loss_of, self.restorer.trainable_variables, self.optimizer)]

    def loss_of(self, batch: dict[str, Tensor]) -> tuple[Tensor, Losses]:
        """The loss of `image` uint8[b, s, s, 3] and `seed` int64[b], which determines the damage.

        A quarter of the pictures get an estimate of their noise and the others the true value, so that both can be used
        in inference.
        """
        real = to_float(batch["image"])
        damaged = damage(real, batch["seed"])
        sigmas = ops.where(ops.equal(batch["seed"] % 4, 0), -1.0, damaged.sigmas)
        restored = self.restorer(prepared(damaged._replace(sigmas=sigmas)))
        squared_B = ops.mean((restored - real) ** 2, axis=[1, 2, 3])
        psnr = ops.mean(10 / np.log(10) * ops.log(4 / (squared_B + LEAST_ERROR)))
        loss, losses = -self.psnr_weight * psnr, {"psnr": psnr}
        if self.rmse_weight:
            loss = loss + self.rmse_weight * ops.mean(ops.sqrt(squared_B + LEAST_SQUARE))
        if self.ssim_weight:
            similarity = ops.mean(ops.image.ssim((restored + 1) / 2, (real + 1) / 2))
            loss, losses = loss + self.ssim_weight * (1 - similarity), {**losses, "ssim": similarity}
        return loss, {"loss": loss, **losses}
