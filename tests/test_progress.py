"""What a notebook prints for the terminal too."""

from soft_attention import progress


def test_what_is_said_and_every_warning_is_marked_and_nothing_else(capsys):
    progress.say("epoch 1/2")
    print("warning: 3 images are twice there\nepoch 1 of something else\n  warning: of a library")
    assert list(progress.marked(capsys.readouterr().out)) == ["epoch 1/2", "warning: 3 images are twice there"]
