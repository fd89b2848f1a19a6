"""The benchmark of precisions, where there is only one."""

from __future__ import annotations

import pytest
import typer


def test_a_processor_without_bfloat16_is_said_without_a_traceback(monkeypatch, capsys):
    import precision

    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: False)
    with pytest.raises(typer.Exit) as ended:
        precision.main()
    assert ended.value.exit_code == 2
    assert "the cpu of this machine has no bfloat16" in capsys.readouterr().err
