"""The files of a release, from a small output of `sam build`, and packed by the CLIs that deploy it."""

import os
import re
import shutil
import subprocess
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import pytest
import yaml

from project import ROOT
from release.archive import zipped
from release.contents import check_bytecode, deployed
from release.errors import ReleaseError

SAM = ROOT / ".venv-sam" / "bin" / "sam"
BYTECODE = bytes.fromhex("f30d0d0a01000000")
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  GuildhookLayer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: GuildhookLayer
  Sweep:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Sweep
      Handler: app.handler
      Runtime: python3.13
      Layers: [!Ref GuildhookLayer]
  Network:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: Network/template.yaml
"""
NESTED = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n"


@pytest.fixture
def build(tmp_path):
    folder = tmp_path / "build"
    for name, content in {
        "template.yaml": TEMPLATE.encode(),
        "Network/template.yaml": NESTED.encode(),
        "Sweep/app.py": b"handler = print\n",
        "GuildhookLayer/python/guildhook/model.py": b"",
        "GuildhookLayer/python/guildhook/__pycache__/model.cpython-313.pyc": BYTECODE + b"code",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_functions_and_layers_are_archives_to_which_the_template_refers(build):
    files = {file.name: file.content for file in deployed(build)}
    assert sorted(files) == ["GuildhookLayer.zip", "Network/template.yaml", "Sweep.zip", "template.yaml"]
    resources = yaml.safe_load(files["template.yaml"].replace(b"!Ref ", b""))["Resources"]
    assert resources["GuildhookLayer"]["Properties"]["ContentUri"] == "GuildhookLayer.zip"
    assert resources["Sweep"]["Properties"]["CodeUri"] == "Sweep.zip"
    assert files["Network/template.yaml"].decode() == NESTED
    with ZipFile(BytesIO(files["Sweep.zip"])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"app.py": b"handler = print\n"}


@pytest.mark.parametrize("name", ["Sweep", "Other"])
def test_a_template_that_names_other_folders_than_there_are_is_refused(build, name):
    if name == "Sweep":
        shutil.rmtree(build / name)
    else:
        (build / name).mkdir()
    with pytest.raises(ReleaseError, match=f"names other folders than there are: {name}. Delete .aws-sam"):
        list(deployed(build))


@pytest.mark.parametrize("content", [None, b"", bytes.fromhex("f30d0d0a00000000"), bytes.fromhex("cb0d0d0a01000000")])
def test_a_layer_without_bytecode_for_lambda_is_refused(build, content):
    compiled = build / "GuildhookLayer" / "python" / "guildhook" / "__pycache__" / "model.cpython-313.pyc"
    compiled.unlink()
    if content is not None:
        compiled.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"GuildhookLayer has no bytecode of CPython 3\.13 for .*model\.py"):
        list(deployed(build))


def test_a_layer_is_checked_module_by_module():
    check_bytecode("Layer", {"a/b.py": b"", "a/__pycache__/b.cpython-313.pyc": BYTECODE})
    with pytest.raises(ReleaseError, match="make release PYTHON="):
        check_bytecode("Layer", {"a/b.py": b"", "a/__pycache__/c.cpython-313.pyc": BYTECODE})


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([SAM, "package"], marks=pytest.mark.skipif(not SAM.exists(), reason="there is no SAM CLI")),
        pytest.param(
            ["aws", "cloudformation", "package", "--template-file=template.yaml"],
            marks=pytest.mark.skipif(not shutil.which("aws"), reason="there is no AWS CLI"),
        ),
    ],
    ids=["sam", "aws"],
)
def test_a_cli_uploads_the_same_objects_wherever_the_release_is_unpacked(build, aws, tmp_path, command):
    release = zipped(deployed(build))
    uploaded = []
    for time in (1e9, 2e9):
        folder = tmp_path / str(time)
        with ZipFile(BytesIO(release)) as archive:
            archive.extractall(folder)
        for path in folder.iterdir():
            os.utime(path, (time, time))
        bucket = f"packages-{uuid4().hex}"
        aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        subprocess.run(
            [*command, f"--s3-bucket={bucket}", "--output-template-file=packaged.yaml"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0", **aws.environment},
            check=True,
            capture_output=True,
        )
        packaged = (folder / "packaged.yaml").read_text()
        references = re.findall(r"(?:CodeUri|ContentUri|TemplateURL): (\S+)", packaged)
        uploaded.append([reference.rpartition("/")[2] for reference in references])
        objects = {each["Key"] for each in aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
        assert {*uploaded[-1]} == objects
    assert uploaded[0] == uploaded[1]
    assert len({*uploaded[0]}) == 3
