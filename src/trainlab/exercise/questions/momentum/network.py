"""The deep network under SGD with six momenta, at one learning rate and at rates that keep the pace."""

from trainlab.exercise.section import Sweep

MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999, 0.99999)
RATE, PACE = 0.001, 0.01  # of a step; of the sum of all steps that equal gradients come to. They meet at a momentum of 0.9
ALL = Sweep(
    "question_5_momentum",
    (
        *("model=selu", "optim=sgd", f"optim.momentum={','.join(f'{m:g}' for m in MOMENTA)}"),
        f"optim.lr={RATE},'${{same_pace:{PACE},${{optim.momentum}}}}'",
        *("seed=1,2,3", "trainer.max_epochs=6", "trainer.limit_train_batches=200", "callbacks.early_stopping=null"),
        *("callbacks.pictures=null", "logger.tensorboard=null", "sweep.population=10"),
    ),
    quick=("optim.momentum=0,0.9,0.99999", "model.depth=3", "trainer.limit_train_batches=20"),
)
