"""What a training's log tells of its pace: told here by a clock that the tests set."""

from training_files import fit, recipe, write_data

from softlabels import joblog
from softlabels.training import pace
from softlabels.training.pace import Pace


def epoch(made, clock, number, step=1.0, validation=2.0, first=0, saving=0.0):
    """Let an epoch pass; returns its lines."""
    made.begin(first)
    told = []
    for k in range(first, made.steps):
        clock.seconds += step + saving * (k == first)
        told.append(made.step(number, k + 1, saving))
    made.learned((made.steps - first) * step)
    clock.seconds += validation
    return [line for line in told if line], made.end(number)


def test_an_epoch_tells_its_seconds_its_images_a_second_and_what_is_left(clock):
    made = Pace(epochs=4, steps=8, batch=50, ending=5, clock=clock)
    within, line = epoch(made, clock, 1)
    assert within == []  # it took less than the seconds between two lines
    # Three more epochs of 8 s and 2 s, and predictions of five times as many images as in a validation.
    assert line == "10.00 s, 50 images/s, about 40 s left"
    assert [epoch(made, clock, k)[1].split(", ")[-1] for k in (2, 3, 4)] == [
        "about 30 s left", "about 20 s left", "about 10 s left",
    ]  # fmt: skip


def test_a_long_epoch_tells_within_it_and_savings_slow_no_image(clock):
    made = Pace(epochs=2, steps=30, batch=4, ending=1, clock=clock)
    within, line = epoch(made, clock, 1, saving=6.0)
    # A step a second, told every 10 s; the first, with a saving of 6 s, is no measure of the others.
    assert within == ["4.0 images/s, about 49 s left", "4.0 images/s, about 39 s left"]
    assert line == "38.00 s, 4.0 images/s, about 34 s left"


def test_what_the_first_step_takes_to_be_compiled_is_not_expected_of_the_others(clock):
    made = Pace(epochs=2, steps=30, batch=4, ending=0, clock=clock)
    made.begin(0)
    clock.seconds += 100
    assert made.step(1, 1, 0.0) == ""
    clock.seconds += 10
    assert made.step(1, 11, 0.0) == "4.0 images/s, about 49 s left"


def test_the_first_epoch_is_slower_and_soon_forgotten(clock):
    made = Pace(epochs=20, steps=5, batch=1, ending=0, clock=clock)
    epoch(made, clock, 1, step=9.0, validation=9.0)
    assert epoch(made, clock, 2, validation=1.0)[1].endswith("about 108 s left")  # 18 epochs of 6 s
    for k in range(3, 9):
        epoch(made, clock, k, validation=1.0)
    assert epoch(made, clock, 9, step=2.0, validation=1.0)[1].endswith("about 66 s left")  # one slow epoch, too


def test_a_training_that_goes_on_within_an_epoch_counts_the_steps_that_it_does(clock):
    made = Pace(epochs=3, steps=10, batch=2, ending=0, clock=clock)
    assert epoch(made, clock, 2, first=6)[1] == "6.00 s, 2.0 images/s, about 12 s left"


def test_one_that_goes_on_before_a_validation_does_not_guess_what_a_step_takes(clock):
    made = Pace(epochs=3, steps=10, batch=2, ending=0, clock=clock)
    assert epoch(made, clock, 2, first=10)[1] == "2.00 s"
    assert epoch(made, clock, 3)[1] == "12.00 s, 2.0 images/s, about 0 s left"


def test_the_log_of_a_training_has_what_status_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pace, "SECONDS", 0.0)  # a line a step
    fit(tmp_path / "run", write_data(tmp_path / "data"), recipe(epochs=2))
    text = capsys.readouterr().err
    lines = text.splitlines()
    log = tmp_path / "train.log"
    steps = [k for k, line in enumerate(lines) if line.startswith("epoch 2/2, step ")]
    assert len(steps) == 4
    log.write_text("\n".join(lines[: steps[1] + 1]) + "\n")
    found = joblog.read(log, log.stat().st_mtime)
    assert (found["state"], found["epoch"], found["epochs"], found["step"], found["steps"]) == ("running", 1, 2, 2, 4)
    assert found["images_per_second"] > 0
    assert found["seconds_left"] >= 0
    log.write_text(text)
    found = joblog.read(log, log.stat().st_mtime)
    assert (found["epoch"], found["epochs"]) == (2, 2)
    assert found["images_per_second"] > 0
    assert not {"step", "steps", "gpu_mb"} & found.keys()
    assert all("val_acc_own" in line for line in lines if line.startswith("epoch ") and "step" not in line)
