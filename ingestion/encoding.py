"""How readings are put into messages, by name."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["json", "arrow", "json_lines", "json_columns"]
"""`json`: one reading a message. The others: the rows of one machine in one message, for speed."""
