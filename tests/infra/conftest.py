import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from guildhook_local.aws import Aws
from infra.stand_ins import NESTED, stand_in


@pytest.fixture
def packages(aws: Aws) -> str:
    """A bucket with code and nested templates."""
    s3, name = aws.client("s3"), f"packages-{uuid4().hex}"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=name, Key="code.zip", Body=archive.getvalue())
    for nested in NESTED:
        s3.put_object(Bucket=name, Key=f"{nested}.json", Body=json.dumps(stand_in(nested)))
    return name


@pytest.fixture
def run(aws: Aws, tmp_path: Path) -> Callable[..., dict[str, str]]:
    def run(script: str, variables: Mapping[str, str], *names: str) -> dict[str, str]:
        """The variables of these names, after the script."""
        printed = "".join(f'printf "%s\\n" "${name}"\n' for name in names)
        # Version 1 of the CLI asks SQS at a name of its own, whatever its environment says.
        begin = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }'
        environment = {**os.environ, **aws.environment, **variables}
        ended = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=f"{begin}\n{script}\n{printed}",
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert ended.returncode == 0, ended.stderr
        lines = ended.stdout.splitlines()
        return dict(zip(names, lines[len(lines) - len(names) :], strict=True))

    return run
