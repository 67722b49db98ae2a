"""Batches for training: which images, in which order, moved how, all by the seed and the epoch."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import keras
import numpy as np

from soft_attention.errors import StudyError, known
from soft_attention.run.augmentation import dihedral, identity, random_affine

SAMPLINGS = ("natural", "balanced", "authors")
ORDER, MOVES, FOLDER = range(3)  # separate streams of random numbers
AUTHORS_TARGET, AUTHORS_BATCH = 8000, 50  # the authors' offline augmentation


class Batches(keras.utils.PyDataset):
    """Batches `({"image", "transform"[, "mask"]}, one-hot labels[, weights])` for `fit`.

    The images of one pass after the other form an endless stream; every epoch takes the next
    `len(self)` batches of it, so all batches are full and no image is left out at the end of an
    epoch. Batch `step` of epoch `epoch` depends on nothing but these two and the seed, so that
    `fit(batches, initial_epoch=k, shuffle=False, callbacks=[batches.follow()])` resumes exactly.
    (`shuffle=False` because Keras would shuffle the steps by a generator of its own.)

    Attributes:
        epoch: counts up at the end of each epoch.
        size: images in one pass.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: Sequence[str],
        rows: Sequence[int],
        classes: Sequence[str],
        *,
        batch_size: int = 16,
        sampling: str = "natural",
        augment: bool = True,
        steps: int | None = None,
        class_weights: Mapping[str, float] | None = None,
        seed: int = 0,
        masks: np.ndarray | None = None,
    ):
        """Make the batches of some rows.

        Args:
            images: (N, S, S, 3) uint8, as from `open_images`.
            labels: N class names.
            rows: the rows of `images` to use.
            classes: the order of the one-hot columns.
            batch_size: images in a batch.
            sampling: `"natural"`: a pass is every row once, shuffled.
                `"balanced"`: a pass has about as many images, every class equally often.
                `"authors"`: a pass is the authors' folder after their offline augmentation: the
                originals as they are and `authors_class_totals` of copies, each moved in its own
                way that never changes. (Theirs were JPEG files; here a copy is made when needed.)
            augment: give the images random transforms; otherwise all stay as they are.
            steps: batches in an epoch; default one pass over `rows`, but for `authors` a tenth of
                the number of rows, as the authors trained.
            class_weights: weight of an image in the loss by class, 1 for classes not named.
            seed: moves order and transforms.
            masks: (N, S, S) lesion masks that go with the images; None for a network that needs none.

        Raises:
            ValueError: unknown sampling, or a weight for an unknown class.
            StudyError: a label that is not a class, or a class without an image (`balanced`).
        """
        # On TensorFlow in threads of Keras' own: its other way, tf.data with autotuning, often ends an epoch only at
        # the next turn of the tuner, and these come after 10, 30, 70 ms ... 41, 82 s: an epoch of 55 s then took 84.
        # Elsewhere Keras peeks at batches before the first epoch and, with threads, would serve these again in it.
        super().__init__(workers=2 if keras.backend.backend() == "tensorflow" else 1, max_queue_size=4)
        known(sampling, SAMPLINGS, "sampling")
        if not len(rows):
            raise ValueError("no rows to make batches of")
        self.images, self.masks, self.rows, self.classes = images, masks, np.asarray(rows), tuple(classes)
        self.batch_size, self.sampling, self.seed, self.epoch = batch_size, sampling, seed, 0
        self.targets = _class_indices(np.asarray(labels)[self.rows], self.classes)
        self.weights = _weights(class_weights, self.classes)
        self.moves = identity(len(self.rows))
        self.fresh_moves = augment and sampling != "authors"
        if sampling == "authors":
            item, moves = _authors_folder(self.targets, self.image_size, seed)
            self.rows, self.targets = self.rows[item], self.targets[item]
            self.moves = moves if augment else identity(len(item))
        self.steps = steps or -(-len(rows) // (10 if sampling == "authors" else batch_size))
        self._pass = lru_cache(maxsize=2)(self._draw_pass)
        self.size = len(self._pass(0))

    @property
    def image_size(self) -> int:
        return self.images.shape[1]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> tuple:
        items = self._items(step)
        targets = self.targets[items]
        inputs = self._inputs(items, np.random.default_rng([MOVES, self.seed, self.epoch, step]))
        batch = inputs, np.eye(len(self.classes), dtype=np.float32)[targets]
        return batch if self.weights is None else (*batch, self.weights[targets])

    def _inputs(self, items: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        moves = random_affine(rng, len(items), self.image_size) if self.fresh_moves else self.moves[items]
        batch = {"image": self.images[self.rows[items]], "transform": moves}
        return batch if self.masks is None else batch | {"mask": self.masks[self.rows[items]]}

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def follow(self) -> keras.callbacks.Callback:
        """A callback for `fit` that sets `epoch` to the one that begins.

        Without it `epoch` is one ahead, because Keras also ends an epoch before the first.
        """
        return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(self, "epoch", epoch))

    def _items(self, step: int) -> np.ndarray:
        """Which items make up a batch: the next `batch_size` of the stream."""
        start = (self.epoch * self.steps + step) * self.batch_size
        turn, place = np.divmod(np.arange(start, start + self.batch_size), self.size)
        return np.concatenate([self._pass(int(t))[place[turn == t]] for t in np.unique(turn)])

    def _draw_pass(self, turn: int) -> np.ndarray:
        """The items of one pass over the data, in order."""
        rng = np.random.default_rng([ORDER, self.seed, turn])
        if self.sampling == "balanced":
            return _balanced(self.targets, self.classes, rng)
        return rng.permutation(len(self.rows))


class FeatureBatches(Batches):
    """Batches of kept features `(N, V, H, W, C)` instead of images; to augment is to choose among V views.

    Raises:
        ValueError: sampling `authors`, which keeps each image's own transforms, and features have none.
    """

    def __init__(self, features: np.ndarray, labels, rows, classes, *, sampling: str = "natural", **options):
        if sampling == "authors":
            raise ValueError("sampling 'authors' needs images to transform: with kept features choose 'balanced'")
        super().__init__(features, labels, rows, classes, sampling=sampling, **options)

    def _inputs(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray | tuple[np.ndarray, ...]:
        count = self.images.shape[1] if self.fresh_moves else 1
        views = rng.integers(count, size=len(items))
        features = self.images[self.rows[items], views]
        return features if self.masks is None else (features, self._views(items, views))

    def _views(self, items: np.ndarray, views: np.ndarray) -> np.ndarray:
        """The masks of some items, each turned and mirrored as the view of its features is."""
        masks = self.masks[self.rows[items]]
        for view in np.unique(views):
            masks[views == view] = dihedral(masks[views == view], int(view))
        return masks


def authors_class_totals(counts: Mapping[str, int]) -> dict[str, int]:
    """Images of each class after the authors' offline augmentation, given the originals of each.

    For each class they take ceil((8000 - n) / 50) batches of 50 from a generator over its n
    originals, whose last batch of every pass is short. Their 9,187 images become 51,699.
    """
    return {name: n + _copies(n) for name, n in counts.items()}


def _copies(n: int) -> int:
    batches = max(0, -(-(AUTHORS_TARGET - n) // AUTHORS_BATCH))
    passes, rest = divmod(batches, -(-n // AUTHORS_BATCH))
    return passes * n + rest * AUTHORS_BATCH


def _authors_folder(targets: np.ndarray, image_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The authors' augmented folder: the image each file shows and the transform that made it."""
    rng = np.random.default_rng([FOLDER, seed])
    items, moves = [], []
    for target in np.unique(targets):
        own = rng.permutation(np.flatnonzero(targets == target))
        copies = _copies(len(own))
        items += [own, np.resize(own, copies)]
        moves += [identity(len(own)), random_affine(rng, copies, image_size)]
    return np.concatenate(items), np.concatenate(moves)


def _balanced(targets: np.ndarray, classes: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """As many items of each class, shuffled; none repeats before all of its class have come."""
    share = -(-len(targets) // len(classes))
    chosen = []
    for index, name in enumerate(classes):
        own = np.flatnonzero(targets == index)
        if not len(own):
            raise StudyError(f"no training image of class {name!r}; balanced sampling needs every class")
        rounds = -(-share // len(own))
        chosen.append(np.concatenate([rng.permutation(own) for _ in range(rounds)])[:share])
    return rng.permutation(np.concatenate(chosen))


def _class_indices(labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    index = {name: i for i, name in enumerate(classes)}
    if unknown := sorted(set(labels) - set(classes)):
        raise StudyError(f"label {str(unknown[0])!r} is not one of the classes {', '.join(classes)}")
    return np.array([index[label] for label in labels], int)


def _weights(class_weights: Mapping[str, float] | None, classes: tuple[str, ...]) -> np.ndarray | None:
    if not class_weights:
        return None
    for name in class_weights:
        known(name, classes, "class in class_weights")
    return np.float32([class_weights.get(name, 1.0) for name in classes])
