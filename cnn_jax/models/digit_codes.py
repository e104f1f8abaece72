"""The fixed output codes of LeNet-5: pictures of the digits, 7 pixels wide and 12 high.

LeCun et al. 1998, section II.B, take such pictures so that digits which look alike have codes
that lie near each other. The paper's own pictures are not published as numbers; these are
drawn anew.
"""

from __future__ import annotations

import numpy as np

LENGTH = 7 * 12
"""Components of a code, and so units of the layer F6."""

# Two rows of five digits, a blank column between neighbours.
_PICTURES = """
..###.. ...#... ..###.. ..###.. .....#.
.#...#. ..##... .#...#. .#...#. ....##.
#.....# .#.#... #.....# #.....# ...#.#.
#.....# ...#... ......# ......# ..#..#.
#.....# ...#... .....#. .....#. .#...#.
#.....# ...#... ....#.. ..###.. #....#.
#.....# ...#... ...#... .....#. #######
#.....# ...#... ..#.... ......# .....#.
#.....# ...#... .#..... ......# .....#.
#.....# ...#... #...... #.....# .....#.
.#...#. ...#... #...... .#...#. .....#.
..###.. .#####. ####### ..###.. .....#.

####### ...###. ####### ..###.. ..###..
#...... ..#.... ......# .#...#. .#...#.
#...... .#..... ......# #.....# #.....#
#...... #...... .....#. #.....# #.....#
#...... #...... .....#. .#...#. #.....#
#.###.. #.###.. ....#.. ..###.. .#...##
##...#. ##...#. ....#.. .#...#. ..###.#
......# #.....# ...#... #.....# ......#
......# #.....# ...#... #.....# ......#
#.....# #.....# ..#.... #.....# .....#.
.#...#. .#...#. ..#.... .#...#. ....#..
..###.. ..###.. ..#.... ..###.. .###...
"""


def digits() -> np.ndarray:
    """The pictures of the digits 0 to 9: (10, 12, 7) float32, +1 for ink and -1 for paper."""
    blocks = [
        [row.split() for row in block.split("\n")] for block in _PICTURES.strip().split("\n\n")
    ]
    pictures = [[row[column] for row in block] for block in blocks for column in range(5)]
    ink = np.array([[list(row) for row in picture] for picture in pictures]) == "#"
    return np.where(ink, np.float32(1), np.float32(-1))


def codes(num_classes: int) -> np.ndarray:
    """Fixed codes of the classes: (k, 84) float32 of -1 and +1.

    Ten classes are taken to be digits, with the rows of their pictures one after the other;
    other numbers of classes have distributed codes, drawn at random but always the same.
    """
    if num_classes == 10:
        return digits().reshape(10, LENGTH)
    # Unlike newer generators RandomState never changes its stream, which checkpoints rely on.
    bits = np.random.RandomState(1998).randint(0, 2, (num_classes, LENGTH))
    return (2 * bits - 1).astype(np.float32)
