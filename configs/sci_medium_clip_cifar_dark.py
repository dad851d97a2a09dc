"""As ``sci_clip_cifar_dark.py`` behind a published SCI, the one that leaves this head the most to win."""

_base_ = "sci_clip_cifar_dark.py"

restorer = dict(type="sci", weights="sci/medium.pt")
name = "sci_medium_clip_cifar_dark"
