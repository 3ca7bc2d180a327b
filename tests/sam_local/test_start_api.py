import json

import urllib3

from sam_local.sam import containers, processes

STARTS = urllib3.Retry(total=None, connect=200, backoff_factor=0.01, backoff_max=0.2, read=False)


def test_admin_api_answers_by_http_on_python_3_13(system, sam):
    with sam.api() as (url, log), urllib3.PoolManager() as http:
        answer = http.request("GET", f"{url}/api/health", retries=STARTS)
        assert answer.status == 200, log.read_text()
        assert json.loads(answer.data)["status"] == "ok"
        assert http.request("GET", f"{url}/api/nothing").status in (403, 404)
        (container,) = containers(log.read_text())
        assert "python3.13" in processes(container)
