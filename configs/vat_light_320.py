"""What the shipped trainings share: the light translator at 320 pixels, about twenty minutes on a recent CPU core."""

translator = dict(type="vat-light")
size = 320
seed = 0
optim = dict(steps=1000, batch_size=6, lr=1e-3, precision="auto")
objective = dict(
    mix_power=0.0,  # the paper's weights, lambda and 1 - lambda, all but mute what lies deepest in the fog
    cycle=0.0,  # it takes time and, in thick haze, more than it gives (benchmarks/README.md)
    cycle_side=128,  # where it is switched on: it is closed on the copies that the translator looks at anyway
)
teacher = dict(score=0.25)
