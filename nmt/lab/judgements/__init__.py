"""Judgements of translations by people: blind sheets, answers, checks of the raters, scores and agreement."""
