"""Strict reading of YAML: whatever is wrong is said with file, line, column and field."""

import yaml

from .errors import LabError

_NUMBER = "tag:yaml.org,2002:float"
_WHOLE = "tag:yaml.org,2002:int"
_TEXT = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
FILE_BYTES_MAX = 4 << 20


def document(path):
    """The field that is the whole of a file."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"the topology {path} cannot be read: {error}. Check the path.") from error
    if len(text) > FILE_BYTES_MAX:
        raise LabError(f"{path} is longer than {FILE_BYTES_MAX} bytes; this is no topology.")
    return parse(text, path)


def parse(text, path):
    """The field that is the whole of a text; `path` is for messages."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise LabError(f"{path}{place}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise LabError(f"{path}: {error}.") from error
    if node is None:
        raise LabError(f"{path}, line 1: the file is empty.")
    return Field(path, "", node)


class Field:
    """A place in a file, and what stands there."""

    def __init__(self, file, way, node):
        self.file, self.way, self._node = file, way, node

    def failure(self, reason, node=None, way=None):
        """An error at this place."""
        mark = (node or self._node).start_mark
        way = self.way if way is None else way
        field = f", {way}" if way else ""
        return LabError(
            f"{self.file}, line {mark.line + 1}, column {mark.column + 1}{field}: {reason}.")

    def _wrong(self, expected):
        if isinstance(self._node, yaml.MappingNode):
            words = "a mapping"
        elif isinstance(self._node, yaml.SequenceNode):
            words = "a list"
        else:
            words = "nothing (null)" if self.is_null else f"'{self._node.value[:40]}'"
        return self.failure(f"here is {words}; expected is {expected}")

    @property
    def is_null(self):
        """Whether nothing stands here."""
        return self._node.tag == _NULL

    def members(self, keys):
        """The members of a mapping that knows these keys, by key; what is null is left out."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self._wrong("a mapping")
        found, seen = {}, set()
        for key, value in self._node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            way = f"{self.way}.{name}" if self.way else str(name)
            if name is None or name not in keys:
                raise self.failure(
                    f"the key '{name}' is not known; known here are {', '.join(keys)}", key, way)
            if name in seen:
                raise self.failure(f"'{name}' is given twice", key, way)
            seen.add(name)
            if value.tag != _NULL:
                found[name] = Field(self.file, way, value)
        return found

    def required(self, members, key):
        """A member that has to be there."""
        if key not in members:
            raise self.failure(f"'{key}' is missing")
        return members[key]

    @property
    def is_list(self):
        """Whether this is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    def list(self, at_most):
        """The members of a list."""
        if not self.is_list:
            raise self._wrong("a list")
        if len(self._node.value) > at_most:
            raise self.failure(
                f"the list has {len(self._node.value)} members; at most {at_most} are allowed")
        return [Field(self.file, f"{self.way}[{index}]", node)
                for index, node in enumerate(self._node.value)]

    def text(self):
        """A text that is not empty."""
        node = self._node
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT or not node.value:
            raise self._wrong("a text (in quotes, if it looks like a number)")
        return node.value

    def number(self, least, most, unit):
        """A plain number within these bounds."""
        node, value = self._node, None
        if isinstance(node, yaml.ScalarNode) and node.style is None and node.value.strip(
                "0123456789+-.eE") == "":
            try:
                value = float(node.value)
            except ValueError:
                pass
        if value is None or not least <= value <= most:
            raise self._wrong(f"a number of {unit} from {least:g} to {most:g}")
        return value

    def whole(self, least, most, unit):
        """A whole number within these bounds."""
        expected = f"a whole number of {unit} from {least} to {most}"
        try:
            value = self.number(least, most, unit)
        except LabError:
            raise self._wrong(expected) from None
        if value != int(value):
            raise self._wrong(expected)
        return int(value)
