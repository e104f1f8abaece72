"""Prints the table of faults in the README from what the tests have noted.

make faults
"""

import json
import sys
from pathlib import Path


def main(file):
    rows = [json.loads(line) for line in Path(file).read_text().splitlines()]
    print("| fault | tried | outcome | steps lost |")
    print("|---|---:|---|---:|")
    for row in sorted(rows, key=lambda row: row["fault"]):
        print(f"| {row['fault']} | {row['tried']} | {row['outcome']} | {row['lost']} |")


if __name__ == "__main__":
    main(sys.argv[1])
