"""What people read of a result."""

import pytest

from cadenza.bindings.command.output import show


@pytest.mark.parametrize("name", ["id", "file_as_written", "a_name_longer_than_the_others"])
def test_a_field_has_room_between_its_name_and_its_value(capsys, name):
    show({"digest": "abc", name: ["x" * 40, "y" * 40]}, False)
    first, *lines = capsys.readouterr().out.splitlines()
    place = first.index("abc")
    assert lines == [f"{name:<{place}}{'x' * 40}", f"{'':<{place}}{'y' * 40}"]
    assert place > len(name)
