"""deploy/: what can be checked without a container daemon."""

import os, pathlib, re, subprocess, sys

import pytest
from compose_spec import PyCompose
from conftest import ROOT

DEPLOY = ROOT / "deploy"
HADOLINT = pathlib.Path(sys.executable).parent / "hadolint"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_a_dockerfile_is_clean(name):
    run = subprocess.run([HADOLINT, "--no-color", DEPLOY / name], capture_output=True, text=True)
    assert run.returncode == 0 and not run.stdout, run.stdout


def test_a_dockerfile_with_a_mistake_is_not(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && apt-get install curl\n")
    assert subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True).returncode != 0


def test_the_compose_file_is_valid_and_starts_no_open_door():
    text = (DEPLOY / "compose.yaml").read_text()
    compose = PyCompose.from_yaml(text)
    compose.validate()
    for service in ("vlgate", "vlgate-cuda"):
        assert service in compose.service_names()
    assert text.count("VLGATE_API_KEY: \"${VLGATE_API_KEY:?") == 2


def test_the_images_are_built_with_what_the_workspace_says():
    version = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text())[1]
    assert f"FROM rust:{version}-" in (DEPLOY / "Dockerfile").read_text()
    assert f"--default-toolchain {version}" in (DEPLOY / "Dockerfile.cuda").read_text()
