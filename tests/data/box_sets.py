"""Reads the sets that `drawn_objects` writes."""

from cnn_jax.data.boxed_set import load_boxes


def read(form, top, **fields):
    fields = {"image_size": 48, "test_part": 0, **fields}
    return load_boxes(form, str(top), name=f"{form}:{top.name}", **fields)


def notes_of(found):
    return "\n".join(found.notes)
