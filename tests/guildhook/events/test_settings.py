import pytest

from guildhook.events.checks import Postponed, Unrunnable
from guildhook.events.settings import open_settings
from guildhook.model import Outcome
from guildhook.plugin_settings.sealing import Sealer, SettingsKeys
from samples import FixedKeys, NoKeys, installed_plugin, plugin_with_secret


@pytest.mark.parametrize("sealer", [None, Sealer(NoKeys())], ids=["not configured", "no answer"])
def test_settings_without_secrets_need_no_key(sealer):
    assert open_settings(installed_plugin(settings={"greeting": "hello"}), sealer) == {"greeting": "hello"}


def test_a_secret_replaces_an_open_setting_of_its_name():
    plugin = plugin_with_secret(b"", settings={"api_key": "open", "greeting": "hello"})
    assert open_settings(plugin, Sealer(FixedKeys())) == {"api_key": "s3cret", "greeting": "hello"}


def test_the_message_waits_while_the_keys_cannot_be_read():
    assert open_settings(plugin_with_secret(b""), Sealer(NoKeys())) == Postponed("no answer")


def test_without_the_right_key_the_plugin_cannot_run_and_its_secret_is_named():
    plugin = plugin_with_secret(b"")
    assert open_settings(plugin, None) == Unrunnable(
        Outcome.INTERNAL, "GUILDHOOK_SETTINGS_SECRET is not set, which opens its secrets: 'api_key'"
    )
    refused = open_settings(plugin, Sealer(FixedKeys(SettingsKeys("another key that is for the tests"))))
    assert isinstance(refused, Unrunnable)
    assert (refused.outcome, "secret 'api_key' of plugin" in refused.reason) == (Outcome.INTERNAL, True)
