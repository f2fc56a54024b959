"""Mistakes that look like experiments, each compared with the same training without it."""

from exercise.questions.mistakes import networks, selection, spikes

SECTIONS = (networks.RAW_INPUTS, spikes.SECTION, networks.ALPHA_DROPOUT, networks.HALF_DROPPED, selection.SECTION)
