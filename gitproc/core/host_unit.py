"""A unit of the host's systemd, as far as it matters to units of ours."""

from __future__ import annotations

from gitproc.immutable import immutable


@immutable
class HostUnit:
    """A unit of the host's systemd, by its words (LoadState, ActiveState); empty where nobody could say."""

    load: str = ""
    active: str = ""

    @property
    def there(self) -> bool:
        """Whether systemd has it, as far as known."""
        return self.load in ("loaded", "merged", "")

    @property
    def up(self) -> bool:
        """Active, by systemd's word."""
        return self.active in ("active", "reloading", "refreshing")
