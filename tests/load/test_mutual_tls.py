"""A load on a target that asks for a client certificate."""

from __future__ import annotations

from pathlib import Path

from tests.support.certificates import Certificates
from tests.support.judging import serving
from tests.support.load_driving import PROFILE
from tests.support.loading import Relay
from tests.support.recording import ran, report_in


def test_a_load_shows_its_certificate(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with serving() as url, Relay(url, certificates.context(asks=True)) as relay:
        text = PROFILE.read_text("utf-8").replace('catalog = "', f'catalog = "{PROFILE.parent}/')
        lines = "".join(f'{name} = "{name}.pem"\n' for name in ("ca", "cert", "key"))
        profile = tmp_path / "conform.toml"
        profile.write_text(text.replace('environment = "test"\n', f'environment = "test"\n{lines}'), "utf-8")
        arguments = (
            "load",
            "--target",
            relay.url,
            "--profile",
            profile,
            "--rate",
            "30/s",
            "--duration",
            "2s",
        )
        status, out, err = ran(*arguments, "--no-calibration", "--out", "out", cwd=tmp_path)
        # 3: a load of seconds has too few samples for its SLOs.
        assert status in (0, 3), out + err
        total = report_in(tmp_path / "out")["load"]["total"]
        assert total["served"] == total["requests"] > 20
        assert report_in(tmp_path / "out")["leftovers"] == []
