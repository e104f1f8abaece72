import pytest

from cnn_jax import models
from cnn_jax.models.cost import shapes
from cnn_jax.pretrained.matching import paths
from cnn_jax.pretrained.names import place, their_name
from cnn_jax.pretrained.naming import namings
from cnn_jax.pretrained.patterns import NameTable


# One model of each table that no test of parity uses.
@pytest.mark.parametrize(
    "name",
    [
        "alexnet2012",
        "densenet_bc100_12",
        "resnet20",
        "wide_resnet40_4",
        "vgg13",
        "vgg16_bn",
        "vgg19",
        "vgg19_bn",
    ],
)
def test_every_array_has_one_name_of_its_own(name):
    entry = models.entry(name)
    wanted = paths(shapes(models.create(name, entry.num_classes), entry.input_shape))
    for naming in namings(name):
        table = NameTable(naming.names)
        theirs = {path: their_name(path, table) for path in wanted}
        assert None not in theirs.values()
        assert {place(str(theirs[path]), table, wanted): path for path in wanted} == {
            path: path for path in wanted
        }
        assert set(naming.flattened) <= {path.split("/", 1)[1].rsplit("/", 1)[0] for path in wanted}
