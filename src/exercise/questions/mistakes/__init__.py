"""Mistakes that look like experiments, each compared with the same training without it."""

from exercise.questions.mistakes import alpha_dropout, networks, selection, spikes

SECTIONS = (networks.RAW_INPUTS, spikes.SECTION, alpha_dropout.SECTION, networks.HALF_DROPPED, selection.SECTION)
