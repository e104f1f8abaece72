"""Prints the table of faults in docs/faults.md from what the tests have noted.

make faults
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path


def main(file):
    tried, outcomes, lost = Counter(), defaultdict(dict), Counter()
    for row in map(json.loads, Path(file).read_text().splitlines()):
        tried[row["fault"]] += row["tried"]
        outcomes[row["fault"]][row["outcome"]] = None
        lost[row["fault"]] += row["lost"]
    print("| fault | tried | outcome | steps lost |")
    print("|---|---:|---|---:|")
    for fault in sorted(tried):
        print(f"| {fault} | {tried[fault]} | {'; '.join(outcomes[fault])} | {lost[fault]} |")


if __name__ == "__main__":
    main(sys.argv[1])
