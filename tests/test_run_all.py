"""run_all.sh takes folders from where the command is given."""

import os
import shutil
import subprocess

import pytest

from soft_attention import paths


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mirror", "{here}/mirror"),
        ("/data/m", "/data/m"),
        ("~/m", "~/m"),
        ("https://host/m", "https://host/m"),
        ("", ""),
    ],
)
def test_a_relative_folder_is_meant_from_where_the_command_is_given(tmp_path, given, meant):
    checkout, here = tmp_path / "checkout", tmp_path / "some where"
    here.mkdir()
    for folder in ("lib", "scripts"):
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "environment.sh").write_text('echo "$DATA_MIRROR|$DATA_DIR"; exit\n')
    command = shutil.copy(paths.ROOT / "run_all.sh", checkout)
    environment = os.environ | {"DATA_MIRROR": given, "DATA_DIR": given}
    done = subprocess.run(["bash", command, "cpu"], cwd=here, env=environment, capture_output=True, text=True)
    assert done.stdout == "{0}|{0}\n".format(meant.format(here=here)), done.stderr
