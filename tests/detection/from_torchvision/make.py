"""Makes the references of the tests of detectors: what torchvision makes of the same numbers.

    PYTHONPATH=tests/models python tests/detection/from_torchvision/make.py

writes beside this file parts.npz (of boxes, anchors and so on), nets.npz (outputs, losses and
detections of small nets) and names.npz (names and shapes of the state dicts of whole nets). Needs
PyTorch and torchvision, which the tests do not. Those here were made on a CPU with PyTorch 2.14.1
and torchvision 0.29.1.
"""

import json
from pathlib import Path

import drawn
import numpy as np
import torch
import torchvision
from references.synthetic import uniform
from torchvision.models import detection
from torchvision.models.detection import _utils, anchor_utils, backbone_utils, image_list
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import (
    MultiScaleRoIAlign,
    feature_pyramid_network,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)
from torchvision.ops import (
    boxes as box_ops,
)

FOLDER = Path(__file__).parent
NETS = {
    "retinanet_resnet50_fpn": detection.retinanet_resnet50_fpn,
    "retinanet_resnet50_fpn_v2": detection.retinanet_resnet50_fpn_v2,
    "fcos_resnet50_fpn": detection.fcos_resnet50_fpn,
    "fasterrcnn_resnet50_fpn": detection.fasterrcnn_resnet50_fpn,
    "fasterrcnn_resnet50_fpn_v2": detection.fasterrcnn_resnet50_fpn_v2,
    "fasterrcnn_mobilenet_v3_large_fpn": detection.fasterrcnn_mobilenet_v3_large_fpn,
}
SIZE = (drawn.HEIGHT, drawn.WIDTH)


def torch_boxes(boxes):
    """top, left, bottom, right -> left, top, right, bottom."""
    return torch.from_numpy(np.ascontiguousarray(np.asarray(boxes)[..., [1, 0, 3, 2]]))


def our_boxes(boxes):
    return boxes.detach().numpy()[..., [1, 0, 3, 2]]


def channels_first(array):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def parts():
    """What the functions of torchvision make of boxes."""
    some, others = torch_boxes(drawn.boxes("some", 40)), torch_boxes(drawn.boxes("others", 25))
    weights = (10.0, 10.0, 5.0, 5.0)
    coder = _utils.BoxCoder(weights)
    deltas = torch.from_numpy(2 * uniform("deltas", (25, 4)))
    logits = torch.from_numpy(4 * uniform("logits", (60,)))
    targets = torch.from_numpy((uniform("targets", (60,)) > 0).astype(np.float32))
    quality = box_ops.box_iou(others, some)
    many = torch_boxes(drawn.boxes("many", 700))
    scores = torch.from_numpy(uniform("scores", (700,)))
    classes = torch.from_numpy((uniform("classes", (700,)) > 0).astype(np.int64))
    generator = anchor_utils.AnchorGenerator(((32, 40, 50), (64, 80, 101)), ((0.5, 1, 2),) * 2)
    grids = [torch.zeros(1, 1, 12, 16), torch.zeros(1, 1, 6, 8)]
    whole = image_list.ImageList(torch.zeros(1, 3, *SIZE), [SIZE])
    # An image of 480 x 640, so that boxes go to several levels; some reach beyond its edges.
    maps = {
        str(level): channels_first(uniform(f"maps{level}", (2, 480 // s, 640 // s, 3)))
        for level, s in enumerate((8, 16, 32))
    }
    regions = [drawn.boxes(f"regions{n}", 12, 480, 640) * 2.5 - 150 for n in range(2)]
    cut = MultiScaleRoIAlign(["0", "1", "2"], 7, 2)(
        maps, [torch_boxes(each) for each in regions], [(480, 640)] * 2
    )
    return {
        "iou": quality.numpy(),
        "giou_loss": generalized_box_iou_loss(some[:25], others).numpy(),
        "encoded": coder.encode_single(some[:25], others).numpy(),
        "decoded": our_boxes(coder.decode_single(deltas * torch.tensor(weights), others)),
        "focal": sigmoid_focal_loss(logits, targets).numpy(),
        "matched": _utils.Matcher(0.5, 0.4, False)(quality).numpy(),
        "matched_best": _utils.Matcher(0.5, 0.4, True)(quality).numpy(),
        "kept": box_ops.nms(many, scores, 0.3).numpy(),
        "kept_in_classes": box_ops.batched_nms(many, scores, classes, 0.3).numpy(),
        "anchors": our_boxes(generator(whole, grids)[0]),
        "regions": np.stack([drawn.summary(each) for each in cut.permute(0, 2, 3, 1).numpy()]),
    }


def backbone(returned, extra):
    """A ResNet with a block a stage, and a pyramid of 32 maps."""
    layers = {f"layer{n}": str(place) for place, n in enumerate(returned)}
    channels = [64 * 2 ** (n - 1) for n in returned]
    body = ResNet(BasicBlock, [1, 1, 1, 1])
    return backbone_utils.BackboneWithFPN(body, layers, channels, 32, extra)


def given(model):
    """The model with the drawn weights."""
    state = {
        name: torch.from_numpy(np.array(drawn.tensor(name, tuple(tensor.shape))))
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(state)
    return model.eval()


def targets():
    truth = drawn.truth()
    return [
        {"boxes": torch_boxes(boxes[there]), "labels": torch.from_numpy(classes[there]).long()}
        for boxes, classes, there in zip(*truth.values(), strict=True)
    ]


def detections(found):
    """(2, n, 6): boxes, score and class of the best 20 of each image, or as many as both have."""
    rows = [
        np.concatenate(
            [our_boxes(each["boxes"]), each["scores"][:, None].detach(), each["labels"][:, None]], 1
        )
        for each in found
    ]
    count = min(20, *map(len, rows))
    return np.stack([row[:count] for row in rows]).astype(np.float32)


def one_stage(model):
    """Raw outputs, losses and detections of RetinaNet or FCOS."""
    x = channels_first(drawn.images())
    features = list(model.backbone(x).values())
    outputs = model.head(features)
    anchors = model.anchor_generator(image_list.ImageList(x, [SIZE] * 2), features)
    counts = [each.shape[2] * each.shape[3] for each in features]
    per_place = outputs["cls_logits"].shape[1] // sum(counts)
    counts = [count * per_place for count in counts]
    extra = (counts,) if isinstance(model, detection.FCOS) else ()
    # Image by image: FCOS divides by what the whole batch has to learn.
    losses = [
        model.compute_loss(
            [target], {k: v[n : n + 1] for k, v in outputs.items()}, anchors[n : n + 1], *extra
        )
        for n, target in enumerate(targets())
    ]
    split = {name: list(value.split(counts, dim=1)) for name, value in outputs.items()}
    by_level = [list(each.split(counts)) for each in anchors]
    found = model.postprocess_detections(split, by_level, [SIZE] * 2)
    return {
        "outputs": np.stack([drawn.summary(each.detach()) for each in outputs.values()]),
        "losses": np.float32([[part.item() for part in each.values()] for each in losses]),
        "detections": detections(found),
    }


def retinanet():
    extra = feature_pyramid_network.LastLevelP6P7(32, 32)
    return given(detection.RetinaNet(backbone([2, 3, 4], extra), drawn.CLASSES))


def fcos():
    extra = feature_pyramid_network.LastLevelP6P7(32, 32)
    model = detection.FCOS(backbone([2, 3, 4], extra), drawn.CLASSES, score_thresh=0.05)
    return given(model)


def faster_rcnn():
    """All anchors and proposals are taken, so that nothing is drawn."""
    model = detection.FasterRCNN(
        backbone([1, 2, 3, 4], None),
        drawn.CLASSES + 1,
        rpn_pre_nms_top_n_train=60,
        rpn_pre_nms_top_n_test=60,
        rpn_post_nms_top_n_train=60,
        rpn_post_nms_top_n_test=60,
        rpn_batch_size_per_image=100_000,
        box_batch_size_per_image=80,
        box_positive_fraction=1.0,
    )
    return given(model)


def two_stages(model):
    """Of Faster R-CNN."""
    x = channels_first(drawn.images())
    features = model.backbone(x)
    losses = []
    model.train()
    wanted = targets()
    for each in wanted:
        each["labels"] = each["labels"] + 1
    for n in range(2):
        one = {name: value[n : n + 1] for name, value in features.items()}
        whole = image_list.ImageList(x[n : n + 1], [SIZE])
        proposals, first = model.rpn(whole, one, wanted[n : n + 1])
        _, second = model.roi_heads(one, proposals, [SIZE], wanted[n : n + 1])
        losses.append([part.item() for part in (*first.values(), *second.values())])
    model.eval()
    objectness, deltas = model.rpn.head(list(features.values()))
    proposals, _ = model.rpn(image_list.ImageList(x, [SIZE] * 2), features)
    found, _ = model.roi_heads(features, proposals, [SIZE] * 2)
    return {
        "outputs": np.stack(
            [
                drawn.summary(torch.cat([y.permute(0, 2, 3, 1).flatten() for y in each]).detach())
                for each in (objectness, deltas)
            ]
        ),
        "proposals": np.stack([our_boxes(each)[:25] for each in proposals]),
        "losses": np.float32(losses),
        "detections": detections(found),
    }


def names():
    """Names and shapes of state dicts, and the counts of what is trained."""
    found = {}
    for name, make in NETS.items():
        model = make(weights=None, weights_backbone=None)
        state = model.state_dict().items()
        shapes = {key: list(value.shape) for key, value in state if "num_batches" not in key}
        found[name] = np.array(json.dumps(shapes))
        count = sum(value.numel() for value in model.parameters())
        print(name, count)
    return found


if __name__ == "__main__":
    print(torch.__version__, torchvision.__version__)
    np.savez_compressed(FOLDER / "parts.npz", **parts())
    nets = {
        "retinanet": one_stage(retinanet()),
        "fcos": one_stage(fcos()),
        "faster_rcnn": two_stages(faster_rcnn()),
    }
    flat = {f"{net}_{key}": value for net, each in nets.items() for key, value in each.items()}
    np.savez_compressed(FOLDER / "nets.npz", **flat)
    np.savez_compressed(FOLDER / "names.npz", **names())
