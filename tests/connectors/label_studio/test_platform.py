"""The whole connector on a live Label Studio: tokens, pictures and the doctor's probes."""

import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from alearn.errors import Refused
from alearn.platform import Task
from alearn_connectors.label_studio.client import Client
from alearn_connectors.label_studio.project import find_number


class TestTokens:
    def test_a_personal_token_works_and_legacy_ones_may_be_off(self, loop: Any, tmp_path: Path) -> None:
        """Legacy tokens are off on every new Label Studio; the sentence says so."""
        made = loop.http.post("/api/token/")
        if made.status_code == 409:
            pytest.skip("the owner of this server has a personal token already")
        personal = made.raise_for_status().json()["token"]
        client = Client(loop.server.url, personal)
        try:
            client.post("/api/jwt/settings", {"legacy_api_tokens_enabled": False, "api_tokens_enabled": True})
            with pytest.raises(Refused, match="must allow legacy tokens"):
                loop.open().prepare()
            (Path(str(loop.setting.options["token_file"]))).write_text(personal)
            assert loop.open().prepare() == f"{loop.server.url}/projects/{loop.project}"
        finally:
            client.post("/api/jwt/settings", {"legacy_api_tokens_enabled": True, "api_tokens_enabled": True})
            client.post("/api/token/blacklist/", {"refresh": personal})

    def test_a_wrong_token_is_refused(self, loop: Any) -> None:
        """With where it came from."""
        file = Path(str(loop.setting.options["token_file"]))
        file.write_text("0" * 40)
        with pytest.raises(Refused, match=f"must accept the token in {file}"):
            loop.open().pull(None)


class TestPictures:
    def make_picture(self, folder: Path, colour: str) -> Task:
        path = folder / f"{colour}.png"
        Image.new("RGB", (8, 8), colour).save(path)
        return Task(secrets.token_hex(16), uri=str(path))

    def test_label_studio_serves_local_files_to_those_who_are_logged_in(
        self, make: Any, label_studio: Any, tmp_path: Path
    ) -> None:
        """Before the folder is registered it answers 404; it is registered once."""
        loop = make(data="image", media_root=str(label_studio.media_root))
        task = self.make_picture(tmp_path, "red")
        loop.platform.push([task], loop.queue_of([task.key]))
        url = loop.next()["data"]["image"]
        assert loop.http.get(url).content == Path(str(task.uri)).read_bytes()
        assert httpx.get(label_studio.url + url, trust_env=False).status_code in {401, 302}
        loop.open().prepare()
        assert len(loop.get("/api/storages/localfiles", project=loop.project)) == 1
        assert all(finding.ok for finding in loop.platform.check()), loop.platform.check()

    def test_pictures_can_be_served_from_here(self, make: Any, tmp_path: Path) -> None:
        """For a Label Studio on another machine; the URL passes through it untouched."""
        port = secrets.randbelow(20_000) + 40_000
        loop = make(data="image", images="http", http_port=port)
        task = self.make_picture(tmp_path, "blue")
        web = Task(secrets.token_hex(16), uri="https://example.org/a.png")
        loop.platform.push([task, web], loop.queue_of([task.key, web.key]))
        first = loop.next()
        assert httpx.get(first["data"]["image"], trust_env=False).content == Path(str(task.uri)).read_bytes()
        loop.answer(first["id"], "cat")
        assert loop.next()["data"]["image"] == web.uri

    def test_a_picture_that_is_gone_is_named(self, make: Any, label_studio: Any, tmp_path: Path) -> None:
        """The others are there."""
        loop = make(data="image", media_root=str(label_studio.media_root))
        task, lost = self.make_picture(tmp_path, "red"), Task(secrets.token_hex(16), uri=str(tmp_path / "lost.png"))
        assert set(loop.platform.push([lost, task], loop.queue_of([task.key]))) == {lost.key}
        assert list(loop.tasks()) == [task.key]


class TestCheck:
    def test_a_sound_project_is_well(self, filled: Any) -> None:
        """Nothing that lasts is changed by looking."""
        loop, _ = filled
        before = loop.raw
        findings = loop.platform.check()
        assert all(finding.ok for finding in findings), findings
        assert len(findings) >= 5
        assert loop.raw == before

    def test_before_a_project_exists_nothing_is_made(self, make: Any) -> None:
        """Doctors do not operate."""
        loop = make(prepare=False)
        assert all(finding.ok for finding in loop.platform.check())
        assert find_number(loop.http, loop.setting) is None

    def test_an_order_by_chance_is_found(self, filled: Any) -> None:
        """A model version without predictions is the silent one."""
        loop, _ = filled
        loop.patch(model_version="")
        (wrong,) = [finding for finding in loop.platform.check() if not finding.ok]
        assert "by chance" in wrong.advice

    def test_a_server_that_is_off_is_one_finding(self, loop: Any) -> None:
        """With what to do."""
        loop.setting.options.update(url="http://127.0.0.1:9")  # type: ignore[attr-defined]
        (finding,) = loop.open().check()
        assert not finding.ok
        assert "must answer" in finding.advice
