"""The command that draws where a net finds what it tells: show attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from cnn_jax.commands.shown_run import FromCheckpoint, check_least, save, title_of
from cnn_jax.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from cnn_jax.inside.examples import Looked
    from cnn_jax.inside.net import Net
    from cnn_jax.trained import TrainedModel

Method = Literal[
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "integrated_gradients",
    "occlusion",
    "all",
]
_OF_PIXELS = ("integrated_gradients", "occlusion")


@dataclass(frozen=True)
class ShowAttention(FromCheckpoint):
    """Draw which places of images, sounds, series or texts the prediction depends on (Grad-CAM and
    others).
    """

    run: tyro.conf.Positional[Path]
    """A run folder, or a model with published weights, such as efficientnet_lite0."""
    images: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Image files, folders or patterns; for other models files of sounds or series, or texts in
    quotes. By default examples of the validation part."""
    method: Method | None = None
    """How the maps are made. By default grad_cam, for texts hires_cam. `all` draws all side by
    side. integrated_gradients and occlusion are for images only."""
    of: str | None = None
    """The class, tag or number to explain. By default what is predicted for each example."""
    layer: str | None = None
    """Layer of the cam methods. By default the last one that still has several places; for texts
    the first."""
    examples: int = 12
    """How many examples are drawn if no files are given."""
    output: Path = Path("attention.png")
    """The PNG file to write."""
    data_dir: Path | None = None
    """Folder of the TFDS and UCR data sets. By default $TFDS_DATA_DIR, else
    ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Writes the picture, and prints what is on it."""
        from cnn_jax.inside.attention import METHODS
        from cnn_jax.inside.net import net_of

        check_least(examples=self.examples)
        found = self.opened()
        trained, kind = found.trained, found.trained.spec.input_kind
        draw = {
            "image": self._images,
            "sound": self._sounds,
            "series": self._series,
            "tokens": self._texts,
        }
        if kind not in draw:
            raise UserError(
                f"attention is for images, sounds, series and texts, and {self.run} was trained on "
                f"{kind}s"
            )
        method = self.method or ("hires_cam" if kind == "tokens" else "grad_cam")
        methods: list[str] = [*METHODS, *_OF_PIXELS * (kind == "image")]
        if method != "all":
            methods = [method]
        if kind != "image" and method in _OF_PIXELS:
            raise UserError(
                f"--method {method} is for images, and {self.run} was trained on {kind}"
            )
        if self.layer is not None and not set(methods) & set(METHODS):
            raise UserError(f"--layer {self.layer} is for the cam methods, not {method}")
        net = net_of(trained)
        looked = found.looked(self.images, self.examples, self.data_dir)
        picture = draw[kind](trained, net, looked, methods)
        save(picture, self.output)
        print(f"{self.output}: {looked.what}")
        print("orange speaks for what is named, blue against it")

    def _maps(
        self, net: Net, looked: Looked, methods: Sequence[str], layer: str | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The maps by method, and the classes (n,) that they are of; says how they were made."""
        import numpy as np

        from cnn_jax.inside.attention import METHODS, attention
        from cnn_jax.inside.evidence import integrated_gradients, occlusion

        maps, classes = {}, np.zeros(0, np.int32)
        for method in methods:
            if method in METHODS:
                made = attention(net, looked.inputs, self.of, self.layer or layer, method)
                maps[method], classes = made.maps, made.classes
                print(f"{method}: at layer {made.layer}")
            elif method == "occlusion":
                covered = occlusion(net, looked.inputs, self.of)
                maps[method], classes = covered.maps, covered.classes
                print("occlusion: squares covered with the mean colour of the training part")
            else:
                found = integrated_gradients(net, looked.inputs, self.of)
                maps[method], classes = found.maps, found.classes
                print(
                    "integrated_gradients: from the mean colour of the training part; they sum to "
                    f"the difference of the scores but for {found.missing.max():.2%} of it at most"
                )
        nothing = sum(
            int((each.reshape(len(each), -1).max(1) <= 0).sum()) for each in maps.values()
        )
        if nothing:
            print(f"in {nothing} of the maps nothing speaks for what is named")
        return maps, classes

    def _titles(self, trained: TrainedModel, looked: Looked, classes: np.ndarray) -> list[str]:
        names = trained.spec.class_names
        return [
            title_of(trained, looked, place, names[int(of)]) for place, of in enumerate(classes)
        ]

    def _images(
        self, trained: TrainedModel, net: Net, looked: Looked, methods: Sequence[str]
    ) -> Image.Image:
        from cnn_jax.report.attended import attended_images

        maps, classes = self._maps(net, looked, methods)
        titles = self._titles(trained, looked, classes)
        return attended_images(trained, looked.inputs, titles, maps)

    def _sounds(
        self, trained: TrainedModel, net: Net, looked: Looked, methods: Sequence[str]
    ) -> Image.Image:
        from cnn_jax.report.attended import attended_sounds

        maps, classes = self._maps(net, looked, methods)
        return attended_sounds(looked.inputs, self._titles(trained, looked, classes), maps)

    def _series(
        self, trained: TrainedModel, net: Net, looked: Looked, methods: Sequence[str]
    ) -> Image.Image:
        from cnn_jax.report.attended import attended_series

        if len(methods) > 1:
            raise UserError("--method all is for images and pictures of sounds; name one method")
        maps, classes = self._maps(net, looked, methods)
        (made,) = maps.values()
        return attended_series(looked.inputs, self._titles(trained, looked, classes), made)

    def _texts(
        self, trained: TrainedModel, net: Net, looked: Looked, methods: Sequence[str]
    ) -> Image.Image:
        import numpy as np

        from cnn_jax.report.attended import attended_words
        from cnn_jax.report.attention_sheet import text_attention

        if len(methods) > 1:
            raise UserError("--method all is for images and pictures of sounds; name one method")
        first = next((each.name for each in net.layers(looked.inputs) if each.is_series), None)
        maps, classes = self._maps(net, looked, methods, first)
        (made,) = maps.values()
        texts, along = attended_words(trained, np.asarray(looked.inputs), made)
        return text_attention(texts, self._titles(trained, looked, classes), along)
