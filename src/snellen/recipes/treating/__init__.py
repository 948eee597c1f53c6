"""From what the doctor found of a run to a configuration that measurably does better, and the proof."""
