"""SCI's network for the dark: gamma between 1.5 and 5 undone by the mean absolute error, not by SCI's own losses."""

_dark = dict(type="low_light")

restorer = dict(type="sci")
pairs = dict(type="voc", root="voc5", split="train", degradation=_dark)
val = dict(type="voc", root="voc5", split="test", degradation=_dark)
optim = dict(steps=1000, batch_size=8, lr=3e-3)
name = "sci_dark"
