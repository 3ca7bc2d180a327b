import json
import re

import urllib3

from sam_local.sam import containers, processes

STARTS = urllib3.Retry(total=None, connect=200, backoff_factor=0.01, backoff_max=0.2, read=False)


def test_page_and_api_are_served_by_http_on_python_3_13(sam):
    with sam.api() as (url, log), urllib3.PoolManager() as http:
        health = http.request("GET", f"{url}/api/health", retries=STARTS)
        assert health.status == 200, log.read_text()
        assert json.loads(health.data)["status"] == "ok"
        assert http.request("GET", f"{url}/api/nothing").status in (403, 404)
        assert http.request("GET", f"{url}/api/guilds").status == 401

        page = http.request("GET", f"{url}/guilds/any/plugins")
        assert page.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        (script,) = re.findall(r'<script [^>]*src="(/assets/[^"]+)"', page.data.decode())
        # The asset is compressed, so that a binary body is tested as well.
        asset = http.request("GET", f"{url}{script}", headers={"Accept-Encoding": "gzip"})
        assert asset.headers["Content-Encoding"] == "gzip"
        assert asset.data == (sam.template.parent / "AdminApi" / "page" / script.lstrip("/")).read_bytes()
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"

        of_page, of_api = containers(log.read_text())
        assert "python3.13" in processes(of_page)
        assert "python3.13" in processes(of_api)
