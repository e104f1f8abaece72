"""Parts of detectors: pure functions of boxes, with static shapes."""
