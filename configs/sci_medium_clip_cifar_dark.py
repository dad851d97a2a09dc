"""As ``sci_clip_cifar_dark.py`` behind a published SCI, the one that leaves this head the most to win.

Six rounds of as many steps with half as many images: three to four times as long.
"""

_base_ = "sci_clip_cifar_dark.py"

restorer = dict(type="sci", weights="sci/medium.pt")
teacher = dict(rounds=6)
# Every round trusts the one before. With twice the clean images' labels it forgets less of the day on the way.
objective = dict(clean_task=2.0)
optim = dict(batch_size=32)
name = "sci_medium_clip_cifar_dark"
