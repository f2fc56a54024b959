"""A member keeps the losses that its run alone keeps."""

import pytest
from members import TOLERANCE, alone, together

from trainlab.callbacks.step_losses import FILE, read_step_losses

pytestmark = pytest.mark.slow


def test_a_member_keeps_the_losses_of_its_run(tmp_path):
    works = [["callbacks.step_losses.enabled=true", "trainer.max_epochs=2", f"optim.lr={lr}"] for lr in (1e-3, 5e-4)]
    for result in together({tmp_path / f"member_{i}": work for i, work in enumerate(works)}):
        assert not isinstance(result, BaseException), result
    for i, work in enumerate(works):
        assert not isinstance(alone(tmp_path / f"alone_{i}", *work), BaseException)
        ours, theirs = (read_step_losses(tmp_path / f"{kind}_{i}" / FILE).tolist() for kind in ("member", "alone"))
        # The order of sums differs, and six digits are kept.
        assert ours == pytest.approx(theirs, rel=max(TOLERANCE, 1e-5))
        assert len(ours) > 10
