"""Label Studio: projects that alearn fills, orders and reads, on your server or on a private one."""

from __future__ import annotations

from alearn.core.annotators import Profile
from alearn.platform import Platform, Robots, Server, Setting


def open(setting: Setting) -> Platform:
    """The project of a loop; nothing is sent yet.

    Raises:
        ConfigError: `platform.options` is wrong.
    """
    from alearn_connectors.label_studio.connection import LabelStudio
    from alearn_connectors.label_studio.options import read_options
    from alearn_connectors.label_studio.place import check_options

    options = read_options(setting)
    check_options(setting, options)
    return LabelStudio(setting, options)


def server() -> Server:
    """The private server of this user."""
    from alearn_connectors.label_studio.private import PrivateServer

    return PrivateServer()


def robots(setting: Setting, profile: Profile, count: int = 1) -> Robots:
    """Robot annotators for the loop's project; nothing is sent before they are entered.

    Raises:
        ConfigError: `platform.options` is wrong.
    """
    from alearn_connectors.label_studio.crew import crew

    return crew(setting, profile, count)
