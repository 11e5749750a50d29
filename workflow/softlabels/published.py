"""What people read of the schema: one JSON Schema file for editors, and tables of all options.

``make schema`` writes both from the entries; a test fails with the difference if they are not those of today.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from . import io, places, registry, schema

# Words that JSON Schema does not know.
EXTENSIONS = ("registry", "entry", "input", "ordered", "moved", "named", "neutral", "instead_of")


class _Dumper(yaml.SafeDumper):
    """YAML without references to what was written before: everything stands where it belongs."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _spread(rule: Any) -> Any:
    """A rule in plain JSON Schema: a kind is a text, or a mapping by the rule of the entry that it names."""
    if isinstance(rule, list):
        return [_spread(part) for part in rule]
    if not isinstance(rule, dict):
        return rule
    result = {key: _spread(sub) for key, sub in rule.items() if key not in EXTENSIONS}
    if isinstance(rule.get("registry"), str):
        kind, names = rule["registry"], list(registry.names(rule["registry"]))
        cases = [{"if": {"required": ["kind"], "properties": {"kind": {"const": name}}},
                  "then": {"$ref": f"#/$defs/{kind}_{name}"}} for name in names]  # fmt: skip
        name = {"anyOf": [{"enum": names}, {"type": "string", "pattern": f"^{registry.OWN.pattern}$"}]}
        mapping = {"type": "object", "properties": {"kind": name}, "allOf": cases}
        result |= {"if": {"type": "string"}, "then": name, "else": mapping}
    return result


def _entry(kind: str, name: str) -> dict[str, Any]:
    """The rule of an entry's options, where ``kind`` may be left out: a default may name it."""
    rule = _spread(schema.options(kind, name))
    return {**rule, "required": [key for key in rule["required"] if key != "kind"]}


def json_schema() -> dict[str, Any]:
    """The schema as one JSON Schema document, each entry of ours under ``$defs``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "softlabels configuration",
        "description": "Made by `make schema` from schema.py and all entries. A text is short for {kind: text}.",
        **_spread(schema.section("")),
        "$defs": {f"{kind}_{name}": _entry(kind, name) for kind in registry.KINDS for name in registry.names(kind)},
    }


def schema_text() -> str:
    """``schemas/config.schema.yaml``."""
    flow = {"default_flow_style": None, "width": 120}  # a mapping of plain values in one line
    return yaml.dump(json_schema(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, **flow)


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _range(rule: dict[str, Any]) -> str:
    """The values that a rule allows, in a few words."""
    if "registry" in rule:
        return rule["registry"]
    if "enum" in rule:
        return ", ".join(map(_code, rule["enum"]))
    if "anyOf" in rule:
        return " or ".join(_range(option) for option in rule["anyOf"])
    if rule.get("additionalProperties") is False and "required" in rule:  # one of several forms of a value
        return f"`{{{', '.join(rule['properties'])}}}`"
    kinds = rule.get("type", "any")
    text = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    if "items" in rule:
        text += f" of {_range(rule['items'])}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ", ".join([text, *(f"{sign} {rule[key]}" for key, sign in signs.items() if key in rule)])


def _rows(rule: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, sub in rule.get("properties", {}).items():
        if key != "kind":
            default = _code(sub["default"]) if "default" in sub else "" if "moved" in sub else "required"
            text = sub.get("description", "").replace("|", "\\|").replace(" (required)", "")
            yield f"| `{above}{key}` | {_range(sub)} | {default} | {text} |".replace('`"|"`', '`"\\|"`')
            yield from _rows(sub, f"{above}{key}.")


def options_text() -> str:
    """``docs/options.md``: every key and every entry with its options."""
    head = ["| key | values | default | |", "| --- | --- | --- | --- |"]
    parts = [
        "# All keys of a configuration",
        "Made by `make schema` from the code: what an entry is, stands beside it there. Where *values* names a "
        "kind (`loss`, `metric` …), one of its entries is due: its name, `{kind: name, option: value}`, or "
        "`module:function` for one of your own (see `workflow/README.md`).",
    ]
    for name in ("", "dataset", "label", "recipe", "study"):
        rule = schema.section(name)
        forms: dict[str, dict[str, Any]] = {}
        while "if" in rule:
            values = {key: sub["const"] for key, sub in rule["if"].get("properties", {}).items()}
            keys = ", ".join(f"{key}: {values[key]}" if key in values else key for key in rule["if"]["required"])
            forms[f"{name} with {keys}"], rule = rule["then"], rule["else"]
        forms = {name or "The file": rule, **dict(reversed(forms.items()))}
        parts += [text for title, form in forms.items() for text in (f"## {title}", "\n".join([*head, *_rows(form)]))]
    for kind in registry.KINDS:
        parts.append(f"## {kind}: what `kind` may be")
        for name in registry.names(kind):
            rows = list(_rows(schema.options(kind, name)))
            parts.append(f"**`{name}`**: {registry.entry(kind, name)['about']}")
            parts += ["\n".join([*head, *rows])] if rows else []
    return "\n\n".join(parts) + "\n"


FILES = {"workflow/schemas/config.schema.yaml": schema_text, "docs/options.md": options_text}

if __name__ == "__main__":
    for path, text in FILES.items():
        io.write_text(places.REPOSITORY / path, text())
